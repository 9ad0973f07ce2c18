-- Who watches sales wants what has changed since he looked last. So each row has the number of its last change, and whoever has
-- seen all up to a number wants the rows with higher ones. Changes are made one after another (an advisory lock that is held to the
-- commit), so a lower number never appears after a higher one.
--
-- It is the one thing in these tables that the letters do not say: a table that is built again has other numbers.

-- A sequence of its own and not the table's: while the table is built anew both generations take their numbers from here, and the
-- new one's are never lower than the old one's were.
CREATE SEQUENCE sales_change;

-- No index: the present minute's row changes all the time, and each change would touch it. Watchers look at a day of minutes.
-- The default is for replicas of the version before, which do not know of it.
ALTER TABLE sales_minute ADD COLUMN change BIGINT NOT NULL DEFAULT nextval('sales_change');

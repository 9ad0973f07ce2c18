//! For tests: fresh databases and namespaces on real servers, and waiting for conditions.

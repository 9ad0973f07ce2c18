//! A script of pgbench: `\set NAME random(LOW, HIGH)` for each variable, then statements in which they stand as `:NAME`.
//! That is all of its language that is understood here; the scripts run with pgbench as they are (`pgbench -n -M prepared -f`).

use anyhow::{Context, Result};

use crate::chance;

/// What an order does.
#[derive(Debug)]
pub struct Script {
    variables: Vec<Variable>,
    statements: Vec<Statement>,
}

#[derive(Debug)]
struct Variable {
    name: String,
    low: u64,
    high: u64,
}

/// One round trip, one commit.
#[derive(Debug, PartialEq, Eq)]
pub struct Statement {
    /// With `$1` and so on.
    pub sql: String,
    /// Which variable is `$1`, which is `$2` …, by their places in the script.
    pub parameters: Vec<usize>,
}

impl Script {
    /// Reads a script.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = || text.lines().filter(|line| !line.trim_start().starts_with("--"));
        let variables = lines().filter_map(|line| line.strip_prefix("\\set "));
        let variables = variables.map(|line| variable(line).with_context(|| format!("no variable: {line}")));
        let variables: Vec<Variable> = variables.collect::<Result<_>>()?;
        let sql: Vec<&str> = lines().filter(|line| !line.starts_with('\\')).collect();
        let sql = sql.join("\n");
        let statements = sql.split(';').filter(|statement| !statement.trim().is_empty());
        let statements = statements.map(|statement| Statement::parse(statement.trim(), &variables));
        Ok(Self { statements: statements.collect::<Result<_>>()?, variables })
    }

    /// In their order.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The variables of the order with this number, as text: the same for the same number.
    pub fn draw(&self, number: u64) -> Vec<String> {
        let first = number * self.variables.len() as u64;
        let drawn = self.variables.iter().zip(first..).map(|(variable, number)| {
            let chance = chance::of(number) % (variable.high - variable.low + 1);
            (variable.low + chance).to_string()
        });
        drawn.collect()
    }
}

fn variable(line: &str) -> Option<Variable> {
    let (name, range) = line.split_once(" random(")?;
    let (low, high) = range.trim_end().strip_suffix(')')?.split_once(", ")?;
    Some(Variable { name: name.to_owned(), low: low.parse().ok()?, high: high.parse().ok()? })
}

impl Statement {
    fn parse(text: &str, variables: &[Variable]) -> Result<Self> {
        let (mut sql, mut parameters) = (String::new(), Vec::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(':') {
            sql.push_str(before);
            if let Some(cast) = after.strip_prefix(':') {
                sql.push_str("::");
                rest = cast;
                continue;
            }
            let end = after.find(|character: char| !character.is_alphanumeric() && character != '_');
            let (name, after) = after.split_at(end.unwrap_or(after.len()));
            let place = variables.iter().position(|variable| variable.name == name);
            let place = place.with_context(|| format!("`:{name}` is nowhere set"))?;
            let known = parameters.iter().position(|&parameter| parameter == place);
            let parameter = known.unwrap_or_else(|| {
                parameters.push(place);
                parameters.len() - 1
            });
            sql.push('$');
            sql.push_str(&(parameter + 1).to_string());
            rest = after;
        }
        sql.push_str(rest);
        Ok(Self { sql, parameters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_become_parameters_statement_by_statement() {
        let script = "-- why; and how\n\\set a random(1, 9)\n\\set b random(5, 5)\n\
                      SELECT :b::integer, :a, :b;\nSELECT :a;\n";
        let script = Script::parse(script).expect("it is a script");
        let expected = [("SELECT $1::integer, $2, $1", vec![1, 0]), ("SELECT $1", vec![0])]
            .map(|(sql, parameters)| Statement { sql: sql.to_owned(), parameters });
        assert_eq!(script.statements(), expected);
        assert_eq!(script.draw(7)[1], "5");
        assert_eq!(script.draw(7), script.draw(7));
    }

    #[test]
    fn every_script_is_understood() {
        let scripts = [
            include_str!("../sql/p1.sql"),
            include_str!("../sql/p3.sql"),
            include_str!("../sql/hot.sql"),
            include_str!("../sql/apply.sql"),
        ];
        for script in scripts {
            let read = Script::parse(script).expect(script);
            assert!(!read.statements().is_empty(), "{script}");
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let refused = Script::parse("SELECT :nobody;").expect_err("it is not set").to_string();
        assert_eq!(refused, "`:nobody` is nowhere set");
    }
}

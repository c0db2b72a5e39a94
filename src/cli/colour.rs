//! Owns: whether what a command prints is coloured.
//! Does not: colour.

use std::io::IsTerminal;

use crate::core::environment::Environment;

/// As no-color.org and bixense.com/clicolors have it: NO_COLOR wins, then CLICOLOR_FORCE, then CLICOLOR=0; else on a
/// terminal alone (`terminal`: whether it goes to one), and not on one that calls itself dumb.
pub(crate) fn wanted(env: &Environment, terminal: bool) -> bool {
    let is = |name: &str, value: &str| env.non_empty(name).is_some_and(|found| found == value);
    if env.non_empty("NO_COLOR").is_some() {
        return false;
    }
    if env.non_empty("CLICOLOR_FORCE").is_some() && !is("CLICOLOR_FORCE", "0") {
        return true;
    }
    terminal && !is("CLICOLOR", "0") && !is("TERM", "dumb")
}

/// Whether diagnostics are, which go to standard error.
pub(crate) fn of_diagnostics(env: &Environment) -> bool {
    wanted(env, std::io::stderr().is_terminal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variables_in_their_order() {
        for (variables, on_a_terminal, elsewhere) in [
            (&[][..], true, false),
            (&[("NO_COLOR", "")], true, false),
            (&[("NO_COLOR", "1")], false, false),
            (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], false, false),
            (&[("CLICOLOR_FORCE", "1")], true, true),
            (&[("CLICOLOR_FORCE", "0")], true, false),
            (&[("CLICOLOR_FORCE", "")], true, false),
            (&[("CLICOLOR", "0")], false, false),
            (&[("CLICOLOR", "1")], true, false),
            (&[("CLICOLOR", "0"), ("CLICOLOR_FORCE", "1")], true, true),
            (&[("TERM", "dumb")], false, false),
            (&[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], true, true),
            (&[("TERM", "xterm")], true, false),
        ] {
            let given = variables.iter().map(|(name, value)| ((*name).into(), (*value).into()));
            let env = Environment::new(given, "/".into(), None);
            assert_eq!((wanted(&env, true), wanted(&env, false)), (on_a_terminal, elsewhere), "{variables:?}");
        }
    }
}

//! Owns: tokens that are made from other tokens: each parent must be there, and no chain may end in itself.
//! Names that stand twice are told here too.
//! Does not: order anything; the engine obtains parents first.

use std::collections::HashMap;

use super::lacks::Ledger;
use crate::core::config::RawToken;
use crate::core::config::keys::most_like;
use crate::core::diagnostic::{Diagnostic, quote};
use crate::core::settings::TokenName;

pub(super) fn check(tokens: &[Box<RawToken>], ledger: &mut Ledger) {
    let mut by_name: HashMap<&TokenName, usize> = HashMap::with_capacity(tokens.len());
    for (index, token) in tokens.iter().enumerate() {
        let first = *by_name.entry(&token.name.value).or_insert(index);
        if let Some(first) = tokens.get(first).filter(|_| first != index) {
            ledger.push(
                Diagnostic::error(format!("token `{}` stands twice", token.name.value))
                    .at(token.name.span)
                    .note(first.name.span, "first here")
                    .help("rename or remove one of the two"),
            );
        }
    }
    unknown_parents(tokens, &by_name, ledger);
    circles(tokens, &by_name, ledger);
}

fn unknown_parents(tokens: &[Box<RawToken>], by_name: &HashMap<&TokenName, usize>, ledger: &mut Ledger) {
    for parent in tokens.iter().flat_map(|token| &token.parents) {
        if by_name.contains_key(&parent.value) {
            continue;
        }
        let name = parent.value.as_str();
        // In the order of the config, so that of two that are as near the same one is always named.
        let help = match most_like(name, tokens.iter().map(|known| known.name.value.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name a token of this config".into(),
        };
        ledger.error(parent.span, format!("there is no token {}", quote(name)), help);
    }
}

/// Each circle is told once, at the parent that closes it. Iterative: a chain may be as long as the config.
fn circles(tokens: &[Box<RawToken>], by_name: &HashMap<&TokenName, usize>, ledger: &mut Ledger) {
    let mut done = vec![false; tokens.len()];
    for start in 0..tokens.len() {
        let mut path: Vec<(usize, usize)> = vec![(start, 0)];
        while let Some((index, next)) = path.pop() {
            if done.get(index) != Some(&false) {
                continue;
            }
            let Some(parent) = tokens.get(index).and_then(|token| token.parents.get(next)) else {
                if let Some(slot) = done.get_mut(index) {
                    *slot = true;
                }
                continue;
            };
            path.push((index, next + 1));
            let Some(&above) = by_name.get(&parent.value) else {
                continue;
            };
            if let Some(from) = path.iter().position(|(seen, _)| *seen == above) {
                let names = path.iter().skip(from).filter_map(|(seen, _)| tokens.get(*seen));
                let mut circle: Vec<_> = names.map(|token| token.name.value.as_str()).collect();
                circle.push(parent.value.as_str());
                let title = format!("tokens are made from each other: {}", circle.join(" -> "));
                ledger.error(parent.span, title, "one of them must be obtained without the others");
            } else {
                path.push((above, 0));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::core::config::{Role, read};
    use crate::core::environment::Environment;

    fn told(graph: &[(&str, &[&str])]) -> Vec<String> {
        let token = |(name, parents): &(&str, &[&str])| {
            let parents: Vec<_> =
                parents.iter().map(|parent| format!("{parent} = \"{{{{ token.{parent} }}}}\"")).collect();
            let env = parents.join(", ");
            format!("[token.{name}]\nsource = \"command\"\ncommand = [\"true\"]\nenv = {{ {env} }}\n")
        };
        let env = Environment::new([], "/".into(), None);
        // Each in a file of its own: a name may stand twice.
        let read = graph.iter().flat_map(|one| read(&token(one), 0, Path::new("/"), Role::Included, &env).raw.tokens);
        let tokens: Vec<_> = read.collect();
        let mut ledger = Ledger::default();
        check(&tokens, &mut ledger);
        let (diagnostics, _) = ledger.into_parts();
        let report = crate::core::diagnostic::Report::new(diagnostics, &[]);
        report.lines().map(|(_, line)| line).collect()
    }

    #[test]
    fn chains_without_a_circle_are_fine() {
        assert_eq!(told(&[("a", &["b", "c"]), ("b", &["c"]), ("c", &[])]), Vec::<String>::new());
    }

    #[test]
    fn a_circle_is_told_once() {
        assert_eq!(
            told(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &["b"])]),
            ["tokens are made from each other: b -> c -> b"]
        );
        assert_eq!(told(&[("a", &["a"])]), ["tokens are made from each other: a -> a"]);
    }

    #[test]
    fn unknown_and_doubled_names_are_told() {
        assert_eq!(told(&[("sunbird", &["sunbrid"])]), ["there is no token `sunbrid`"]);
        assert_eq!(told(&[("a", &[]), ("a", &[])]), ["token `a` stands twice"]);
    }
}

//! Owns: what of a scope that was asked for an answer does not grant (RFC 6749 3.3, 5.1), and the words for it.
//! Does not: read answers, or know whether what is missing matters to the job.

use std::collections::BTreeSet;

use super::redact::peer_words;

/// Microsoft's word for all that a client was given at the portal: what it stands for comes back, and never the word itself
/// (<https://learn.microsoft.com/entra/identity-platform/scopes-oidc#the-default-scope>).
const ALL_OF_IT: &str = "/.default";

/// The scopes of `asked` that are not in `granted`, in their order. The order in an answer does not matter. Some issuers join
/// theirs by commas (GitHub): a scope that stands between two of them is taken for granted too.
pub(crate) fn missing(asked: &str, granted: &str) -> Vec<String> {
    let granted: BTreeSet<&str> =
        granted.split_ascii_whitespace().flat_map(|word| word.split(',').chain([word])).collect();
    let mut seen = BTreeSet::new();
    let asked = asked.split_ascii_whitespace().filter(|scope| seen.insert(*scope));
    let is_missing = |scope: &&str| !granted.contains(scope) && !scope.ends_with(ALL_OF_IT);
    asked.filter(is_missing).map(str::to_owned).collect()
}

/// What is to be told of scopes that are missing; reads on from a token's name.
pub(crate) fn told(missing: &[String], granted: &str) -> String {
    let (noun, verb) = if missing.len() == 1 { ("scope", "was") } else { ("scopes", "were") };
    let names = missing.join(" ");
    let granted = match granted.trim() {
        "" => "it granted none".to_owned(),
        granted => format!("it granted {:?}", peer_words(granted)),
    };
    format!(
        "the issuer did not grant the {noun} {names:?}, which {verb} asked for ({granted}): what needs it will be refused; correct \
         scope in the config, or have it allowed to this client at the issuer"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_repetition_do_not_matter_and_case_does() {
        for (asked, granted, wanted) in [
            ("read write", "write read", ""),
            ("read read", "read", ""),
            ("read", "read write", ""),
            ("orders.read orders.wriet", "orders.read", "orders.wriet"),
            ("a b c", "b", "a c"),
            ("a b a", "", "a b"),
            ("Read", "read", "Read"),
            ("read", "reader", "read"),
            ("", "read", ""),
            (" a  b ", "b\ta", ""),
            ("repo gist", "gist,repo", ""),
            ("a,b", "a,b", ""),
            ("https://graph.microsoft.com/.default", "User.Read", ""),
        ] {
            assert_eq!(missing(asked, granted).join(" "), wanted, "{asked:?} {granted:?}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_what_was_granted() {
        let one = told(&["a".into()], "b");
        assert!(one.contains(r#"the scope "a", which was asked for (it granted "b")"#), "{one}");
        let two = told(&["a".into(), "c".into()], " ");
        assert!(two.contains(r#"the scopes "a c", which were asked for (it granted none)"#), "{two}");
    }
}

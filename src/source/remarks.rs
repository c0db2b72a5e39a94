//! Owns: what was said of the answers of each token: an oddity that comes with each of them is said once.
//! Does not: say it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use crate::core::settings::TokenName;

/// So many of one token are kept: an issuer whose answers are odd in a new way each time fills no memory, and no log.
const OF_EACH: usize = 8;

#[derive(Default)]
pub(super) struct Remarks(Mutex<HashMap<TokenName, BTreeSet<String>>>);

impl Remarks {
    /// Whether it was not said before.
    pub(super) fn is_new(&self, name: &TokenName, remark: &str) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let said = said.entry(name.clone()).or_default();
        said.len() < OF_EACH && said.insert(remark.to_owned())
    }

    pub(super) fn forget(&self, name: &TokenName) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_said_once_for_each_token_and_not_without_end() {
        let (remarks, name) = (Remarks::default(), |text| TokenName::new(text).unwrap());
        assert!(remarks.is_new(&name("a"), "odd") && remarks.is_new(&name("b"), "odd"));
        assert!(!remarks.is_new(&name("a"), "odd"));
        let said = (0..100).filter(|n| remarks.is_new(&name("a"), &n.to_string())).count();
        assert_eq!(said, OF_EACH - 1);
        remarks.forget(&name("a"));
        assert!(remarks.is_new(&name("a"), "odd") && !remarks.is_new(&name("b"), "odd"));
    }
}

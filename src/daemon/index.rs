//! Owns: finding a token or a file of the running plan by its name, without a walk over all of them.
//! Does not: change the plan.

use hashbrown::HashTable;

use crate::core::settings::{ByName, Plan, TargetPath, TargetPlan, TokenName, TokenPlan};

#[derive(Default)]
pub(super) struct Index {
    /// Where they stand in the plan, by the hash of their names, which stand there too.
    tokens: HashTable<u32>,
    targets: HashTable<u32>,
}

impl Index {
    pub(super) fn of(plan: &Plan) -> Self {
        let tokens = table(plan.tokens.iter().map(|token| token.name.hashed()).collect());
        let targets = table(plan.targets.iter().map(|target| target.path.hashed()).collect());
        Self { tokens, targets }
    }

    /// Where a token stands in the plan.
    pub(super) fn token_at(&self, plan: &Plan, name: &TokenName) -> Option<usize> {
        let is_it = |at: &u32| plan.tokens.get(*at as usize).is_some_and(|token| token.name == *name);
        self.tokens.find(name.hashed(), is_it).map(|at| *at as usize)
    }

    pub(super) fn token<'a>(&self, plan: &'a Plan, name: &TokenName) -> Option<&'a TokenPlan> {
        plan.tokens.get(self.token_at(plan, name)?).map(|token| &**token)
    }

    /// Where a file stands in the plan.
    pub(super) fn target_at(&self, plan: &Plan, wanted: &TargetPath) -> Option<usize> {
        let is_it = |at: &u32| plan.targets.get(*at as usize).is_some_and(|target| target.path == *wanted);
        self.targets.find(wanted.hashed(), is_it).map(|at| *at as usize)
    }

    pub(super) fn target<'a>(&self, plan: &'a Plan, wanted: &TargetPath) -> Option<&'a TargetPlan> {
        plan.targets.get(self.target_at(plan, wanted)?).map(|target| &**target)
    }

    /// A path as the config gives it.
    pub(super) fn shown(&self, plan: &Plan, wanted: &TargetPath) -> String {
        self.target(plan, wanted).map_or(wanted, |target| &target.shown).display().to_string()
    }
}

fn table(hashes: Vec<u64>) -> HashTable<u32> {
    let mut table = HashTable::with_capacity(hashes.len());
    for (at, hash) in (0..).zip(&hashes) {
        table.insert_unique(*hash, at, |at: &u32| hashes[*at as usize]);
    }
    table
}

//! Owns: finding a token or a file of the running plan by its name, without a walk over all of them.
//! Does not: change the plan.

use std::collections::HashMap;

use crate::core::settings::{Plan, TargetPath, TargetPlan, TokenName, TokenPlan};

#[derive(Default)]
pub(super) struct Index {
    tokens: HashMap<TokenName, u32>,
    /// Numbers of the plan's files, in order of their paths.
    by_path: Box<[u32]>,
}

impl Index {
    pub(super) fn of(plan: &Plan) -> Self {
        let tokens = (0..).zip(&plan.tokens).map(|(at, token)| (token.name.clone(), at)).collect();
        let mut by_path: Box<[u32]> = (0..).zip(&plan.targets).map(|(at, _)| at).collect();
        by_path.sort_unstable_by_key(|at| path(plan, *at));
        Self { tokens, by_path }
    }

    /// Where a token stands in the plan.
    pub(super) fn token_at(&self, name: &TokenName) -> Option<usize> {
        self.tokens.get(name).map(|at| *at as usize)
    }

    pub(super) fn token<'a>(&self, plan: &'a Plan, name: &TokenName) -> Option<&'a TokenPlan> {
        plan.tokens.get(self.token_at(name)?)
    }

    /// Where a file stands in the plan.
    pub(super) fn target_at(&self, plan: &Plan, wanted: &TargetPath) -> Option<usize> {
        let at = self.by_path.binary_search_by_key(&Some(wanted), |at| path(plan, *at)).ok()?;
        self.by_path.get(at).map(|at| *at as usize)
    }

    pub(super) fn target<'a>(&self, plan: &'a Plan, wanted: &TargetPath) -> Option<&'a TargetPlan> {
        plan.targets.get(self.target_at(plan, wanted)?)
    }

    /// A path as the config gives it.
    pub(super) fn shown(&self, plan: &Plan, wanted: &TargetPath) -> String {
        self.target(plan, wanted).map_or(wanted, |target| &target.shown).display().to_string()
    }
}

fn path(plan: &Plan, at: u32) -> Option<&TargetPath> {
    plan.targets.get(at as usize).map(|target| &target.path)
}

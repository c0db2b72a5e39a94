//! Owns: when a hook runs: one at a time for a token, eight at a time in all, and a rotation meanwhile once more.
//! Does not: run it.

use super::State;
use super::event::{Action, HookKind};
use crate::core::settings::TokenName;

const AT_ONCE: usize = 8;

impl State {
    pub(super) fn queue_hook(&mut self, name: &TokenName, kind: HookKind) {
        let Some(token) = self.tokens.get_mut(name).filter(|_| !self.stopping) else { return };
        let twice = kind == HookKind::AfterRotate && std::mem::replace(&mut token.hook_queued, true);
        if !twice {
            self.hooks_waiting.push_back((name.clone(), kind));
        }
    }

    pub(super) fn hook_done(&mut self, name: &TokenName) {
        self.hooks_running.remove(name);
    }

    pub(super) fn start_hooks(&mut self, out: &mut Vec<Action>) {
        while self.hooks_running.len() < AT_ONCE && !self.stopping {
            let is_idle = |(name, _): &(TokenName, HookKind)| !self.hooks_running.contains(name);
            let Some(at) = self.hooks_waiting.iter().position(is_idle) else { return };
            let Some((name, kind)) = self.hooks_waiting.remove(at) else { return };
            let Some(token) = self.tokens.get_mut(&name) else { continue };
            token.hook_queued &= kind != HookKind::AfterRotate;
            let expires_at = token.held.as_ref().and_then(|held| held.issued.expires_at);
            self.hooks_running.insert(name.clone());
            out.push(Action::Hook { name, kind, expires_at });
        }
    }
}

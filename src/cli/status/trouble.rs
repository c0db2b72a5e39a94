//! Owns: what is wrong with a token, in sentences; who comes first; the sums of the first line.
//! Does not: draw.

use super::document::{NextTry, StatusDocument, StatusToken};
use super::line::Tint;
use super::when::Clock;

impl StatusToken<'_> {
    fn is_failing(&self) -> bool {
        self.reason.is_some() || self.failing_since.is_some() || self.last_error.is_some() || self.state == "retrying"
    }

    fn hook_failed(&self) -> bool {
        self.hook.as_ref().is_some_and(|hook| hook.ok == Some(false))
    }

    /// Somebody should look at it. A token that is only being obtained for the first time is no trouble yet.
    pub(super) fn needs_attention(&self) -> bool {
        let settled = ["valid", "pending"].contains(&self.state.as_str());
        let lacking = self.outputs.iter().any(|output| output.problem.is_some());
        let is_well = settled && !self.is_failing() && self.uncertain.is_none() && !self.login_is_due();
        !is_well || self.hook_failed() || lacking
    }

    /// The worst is the least.
    fn rank(&self) -> u8 {
        match self.state.as_str() {
            "expired" => 0,
            "pending" if self.needs_attention() => 1,
            "valid" if !self.needs_attention() => 6,
            "valid" if self.uncertain.is_none() => 4,
            "valid" | "retrying" => 3,
            "pending" => 5,
            _ => 2,
        }
    }

    pub(super) fn tint(&self) -> Tint {
        match self.state.as_str() {
            "expired" => Tint::Bad,
            "pending" if self.required && self.needs_attention() => Tint::Bad,
            "valid" if !self.needs_attention() => Tint::Good,
            _ => Tint::Warn,
        }
    }

    /// What is wrong, a sentence each: what kind and since when first, then what was said.
    pub(super) fn troubles(&self, clock: &Clock) -> Vec<String> {
        if !self.needs_attention() {
            return Vec::new();
        }
        let mut said = vec![self.headline(clock)];
        said.extend(self.revoked());
        said.extend(self.last_error.clone());
        said.extend(self.login_due(clock));
        said.extend(self.turn().map(|(host, since)| {
            let since = since.map(|at| format!(" since {}", clock.both(at))).unwrap_or_default();
            format!("it waits for its turn at {host}{since}")
        }));
        let mut add = |sentence: String, words: &str| {
            if words.is_empty() || !said.iter().any(|before| before.contains(words)) {
                said.push(sentence);
            }
        };
        for output in &self.outputs {
            let problem = output.problem.as_deref().unwrap_or_default();
            if !problem.is_empty() {
                let about = problem.contains(&output.path);
                add(if about { problem.to_owned() } else { format!("{}: {problem}", output.path) }, problem);
            }
        }
        if let Some(hook) = self.hook.as_ref().filter(|hook| hook.ok == Some(false)) {
            let at = hook.ended_at.or(hook.started_at).map(|at| format!(" at {}", clock.both(at)));
            let error = hook.error.as_deref().unwrap_or_default();
            let why = if error.is_empty() { String::new() } else { format!(": {error}") };
            add(format!("the hook {} failed{}{why}", hook.name, at.unwrap_or_default()), error);
        }
        said.retain(|sentence| !sentence.is_empty());
        said
    }

    /// `rejected: failing since 03:12:07 CET (2h ago), 12 tries, next try in 9m; expired at ...; not required`.
    fn headline(&self, clock: &Clock) -> String {
        let mut parts = Vec::new();
        if self.is_failing() {
            let mut words: Vec<String> = Vec::new();
            words.extend(self.failing_since.map(|since| format!("failing since {}", clock.both(since))));
            words.extend((self.tries > 0).then(|| counted(self.tries, "try", "tries")));
            words.extend(self.next(clock));
            let words = words.join(", ");
            parts.push(match &self.reason {
                Some(reason) if words.is_empty() => reason.clone(),
                Some(reason) => format!("{reason}: {words}"),
                None => words,
            });
        }
        if self.state == "expired" {
            let since = self.time("expired_since").or(self.expires_at);
            parts.extend(since.map(|at| format!("expired at {}", clock.both(at))));
        }
        if !self.required {
            parts.push("not required".into());
        }
        parts.retain(|part| !part.is_empty());
        parts.join("; ")
    }

    fn next(&self, clock: &Clock) -> Option<String> {
        match self.next_try {
            NextTry::At(at) if clock.is_past(at) => Some("next try now".into()),
            NextTry::At(at) => Some(format!("next try {}", clock.away(at))),
            // A hook's next run is not a try to mend anything.
            NextTry::Never if self.reason.as_deref() == Some("hook") => None,
            NextTry::Never => Some("not tried again by itself".into()),
            NextTry::Unknown => None,
        }
    }

    fn login_due(&self, clock: &Clock) -> Option<String> {
        let end = self.time("login_expires_at").filter(|_| self.login_is_due())?;
        let verb = if clock.is_past(end) { "ended" } else { "ends" };
        Some(format!("its refresh token {verb} at {}: a new login is needed", clock.both(end)))
    }

    fn revoked(&self) -> Option<String> {
        let why = self.uncertain.as_ref().filter(|_| !["expired", "pending"].contains(&self.state.as_str()))?;
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        Some(format!("valid by its time, but the issuer may have revoked it{why}"))
    }
}

impl<'d> StatusDocument<'d> {
    /// The worst first, and of those that are alike the one that has failed longest; else in the order of the config.
    pub(super) fn by_need(&self) -> Vec<&StatusToken<'d>> {
        let mut tokens: Vec<&StatusToken<'_>> = self.tokens.iter().collect();
        tokens.sort_by_key(|token| (token.rank(), token.failing_since.is_none(), token.failing_since));
        tokens
    }

    /// `15 tokens: 5 valid, 4 expired; 4 need attention`.
    pub(super) fn summary(&self) -> String {
        let all = self.tokens.len();
        if all == 0 {
            return "no tokens".into();
        }
        let states = sums(&self.tokens.iter().collect::<Vec<_>>());
        let needy = self.tokens.iter().filter(|token| token.needs_attention()).count();
        let attention = match needy {
            0 => String::new(),
            1 => "; 1 needs attention".into(),
            more => format!("; {more} need attention"),
        };
        format!("{}: {states}{attention}", counted(all as u64, "token", "tokens"))
    }
}

/// `5 valid, 4 expired`; `all valid` where there is one state only.
pub(super) fn sums(tokens: &[&StatusToken<'_>]) -> String {
    let mut sums: Vec<(&str, usize)> = ["valid", "expired", "pending", "retrying"].map(|state| (state, 0)).into();
    for token in tokens {
        match sums.iter_mut().find(|(state, _)| *state == token.state) {
            Some((_, sum)) => *sum += 1,
            None => sums.push((&token.state, 1)),
        }
    }
    sums.retain(|(_, sum)| *sum > 0);
    match sums.as_slice() {
        [(state, 1)] => (*state).to_owned(),
        [(state, _)] => format!("all {state}"),
        _ => sums.iter().map(|(state, sum)| format!("{sum} {state}")).collect::<Vec<_>>().join(", "),
    }
}

pub(super) fn counted(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

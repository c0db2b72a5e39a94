//! Owns: lifetime and schedule of one token: its own keys, else `[defaults]`, else what is built in; and what contradicts.
//! Does not: know when anything is due.

use std::time::Duration;

use super::lacks::Ledger;
use crate::core::config::{RawDefaults, RawSource, RawToken, defaults};
use crate::core::diagnostic::{Diagnostic, Located, Span};
use crate::core::schedule::FALLBACK;
use crate::core::settings::{Lifetime, Retry, RotateRule, Schedule};

/// What an installation access token lives ("Create an installation access token for an app" of GitHub's REST API).
const GITHUB_HOUR: Duration = Duration::from_secs(3600);

/// How long a token lives, and when it is rotated.
pub(super) struct Timing {
    pub lifetime: Lifetime,
    pub schedule: Schedule,
}

pub(super) fn plan(token: &RawToken, defaults: &RawDefaults, ledger: &mut Ledger) -> Timing {
    let timing = Chosen::of(token, defaults);
    if !token.flawed && !defaults.flawed {
        timing.check(token, ledger);
    }
    timing.filled_in()
}

/// What was chosen, each with its place where the config says it.
struct Chosen {
    /// Of a source whose answers tell the lifetime.
    told: bool,
    /// ... which is an hour for all of them.
    an_hour: bool,
    /// Of a token whose lifetime is told: its `ttl`, the lifetime at most.
    lifetime: Option<Located<Lifetime>>,
    /// The exp claim is switched off or on.
    exp: Option<Located<bool>>,
    skew: Option<Located<Duration>>,
    rule: Option<Located<RotateRule>>,
    jitter: Option<Located<f64>>,
    min_interval: Option<Located<Duration>>,
    warn_before: Option<Located<Duration>>,
    initial: Option<Located<Duration>>,
    max: Option<Located<Duration>>,
    rejected: Option<Located<Duration>>,
}

impl Chosen {
    fn of(token: &RawToken, defaults: &RawDefaults) -> Self {
        let (own, common) = (&token.schedule, &defaults.schedule);
        let jwt = match &token.source {
            RawSource::Jwt(jwt) => Some(&**jwt),
            _ => None,
        };
        Self {
            told: jwt.is_none(),
            an_hour: matches!(token.source, RawSource::GithubApp(_)),
            lifetime: match jwt {
                Some(jwt) => jwt.lifetime.or(defaults.lifetime.lifetime),
                None => token.source.ttl().map(|ttl| ttl.map(Lifetime::For)),
            },
            exp: jwt.and_then(|jwt| jwt.exp),
            skew: jwt.and_then(|jwt| jwt.skew.or(defaults.lifetime.skew)),
            rule: own.rule.or(common.rule),
            jitter: own.jitter.or(common.jitter),
            min_interval: own.min_interval.or(common.min_interval),
            warn_before: own.warn_before.or(common.warn_before),
            initial: own.retry_initial.or(common.retry_initial),
            max: own.retry_max.or(common.retry_max),
            rejected: own.retry_rejected.or(common.retry_rejected),
        }
    }

    /// `Never` where there is no exp for any reason.
    fn lifetime(&self) -> Lifetime {
        match self.exp {
            Some(Located { value: false, .. }) => Lifetime::Never,
            _ => self.lifetime.map_or_else(defaults::lifetime, |lifetime| lifetime.value),
        }
    }

    fn rule(&self) -> RotateRule {
        self.rule.map_or(Schedule::default().rule, |rule| rule.value)
    }

    fn check(&self, token: &RawToken, ledger: &mut Ledger) {
        let lifetime_span = self.lifetime.map_or(token.header, |lifetime| lifetime.span);
        match self.lifetime() {
            // Known only when a token is at hand.
            _ if self.told && self.lifetime.is_none() && !self.an_hour => self.check_held_back(None, token, ledger),
            Lifetime::Never => {
                self.check_never(token, lifetime_span, ledger);
                self.check_held_back(None, token, ledger);
            }
            Lifetime::For(lifetime) => self.check_lifetime(lifetime, token, lifetime_span, ledger),
        }
        if let (Some(initial), Some(max)) = (self.initial, self.max)
            && initial.value > max.value
        {
            ledger.push(
                Diagnostic::error("`retry.initial` is longer than `retry.max`")
                    .at(initial.span)
                    .note(max.span, "the longest wait")
                    .help("the waits grow from initial to max"),
            );
        }
        self.check_skew(token, ledger);
    }

    /// A lifetime that is known: the config's own, the `ttl`, or GitHub's hour.
    fn check_lifetime(&self, lifetime: Duration, token: &RawToken, span: Span, ledger: &mut Ledger) {
        let told = ledger.len();
        // A ttl that is no shorter than the hour decides nothing.
        let hour = self.an_hour && (self.lifetime.is_none() || lifetime >= GITHUB_HOUR);
        if hour {
            self.check_hour(lifetime, token, ledger);
        } else {
            self.check_against(lifetime, token, span, ledger);
        }
        let lifetime = if hour { GITHUB_HOUR } else { lifetime };
        if ledger.len() == told {
            self.check_held_back(Some(lifetime), token, ledger);
        }
        if let Some(max) = self.max.filter(|max| max.value >= lifetime) {
            ledger.push(
                Diagnostic::warning(format!("`retry.max` is not shorter than token `{}` lives", token.name.value))
                    .at(max.span)
                    .note(span, format!("it lives {}", shown(lifetime)))
                    .help(format!(
                        "when it has expired, up to {} pass before the next try: shorten retry.max",
                        shown(max.value)
                    )),
            );
        }
    }

    /// GitHub decides the lifetime. A rule that does not fit gives way, as where a lifetime is learnt from the answer; an
    /// interval does not.
    fn check_hour(&self, lifetime: Duration, token: &RawToken, ledger: &mut Ledger) {
        let name = &token.name.value;
        if let Some(ttl) = self.lifetime.filter(|_| lifetime > GITHUB_HOUR) {
            let help = "it is the lifetime at most: remove it, or make it shorter";
            ledger.warning(ttl.span, "`ttl` is longer than the hour that GitHub's tokens live", help);
        }
        if let Some(interval) = self.min_interval.filter(|interval| interval.value >= GITHUB_HOUR) {
            let title = format!("`min_interval` is not shorter than the hour that token `{name}` lives");
            ledger.error(interval.span, title, "GitHub's installation tokens live an hour: shorten min_interval");
        }
        let (key, rule) = match self.rule {
            Some(Located { value: RotateRule::Before(rule), .. }) => ("rotate_before", rule),
            Some(Located { value: RotateRule::Every(rule), .. }) => ("rotate_every", rule),
            _ => return,
        };
        if let Some(at) = self.rule.filter(|_| rule >= GITHUB_HOUR) {
            let title = format!("`{key}` is not shorter than the hour that token `{name}` lives");
            let rotated = shown(GITHUB_HOUR.mul_f64(FALLBACK));
            ledger.warning(at.span, title, format!("it is rotated {rotated} after it was issued: shorten {key}"));
        }
    }

    /// A token that is due before `min_interval` is over waits for its end.
    fn check_held_back(&self, lifetime: Option<Duration>, token: &RawToken, ledger: &mut Ledger) {
        let planned = match (self.rule(), lifetime) {
            (RotateRule::Every(every), _) => every,
            (RotateRule::At(fraction), Some(lifetime)) => lifetime.mul_f64(fraction),
            (RotateRule::Before(before), Some(lifetime)) => lifetime.saturating_sub(before),
            _ => return,
        };
        let Some(interval) = self.min_interval.filter(|interval| interval.value > planned) else { return };
        let diagnostic = Diagnostic::warning(format!(
            "token `{}` is due {} after it was issued, and `min_interval` holds it back until {} after",
            token.name.value,
            shown(planned),
            shown(interval.value)
        ));
        let diagnostic = match self.rule {
            Some(rule) => diagnostic.note(rule.span, "decides when it is due"),
            None => diagnostic,
        };
        ledger.push(diagnostic.at(interval.span).help(match lifetime {
            Some(lifetime) => format!(
                "{} of its life are left then: shorten min_interval, or let it be due later",
                shown(lifetime.saturating_sub(interval.value))
            ),
            None => "shorten min_interval, or lengthen rotate_every".into(),
        }));
    }

    fn check_skew(&self, token: &RawToken, ledger: &mut Ledger) {
        let RawSource::Jwt(jwt) = &token.source else { return };
        let off = !jwt.iat && !jwt.nbf;
        if let Some(skew) = jwt.skew.filter(|skew| off && !skew.value.is_zero()) {
            let help = "remove it, or switch one of the two on: claims.nbf = true";
            ledger.warning(skew.span, "`skew` backdates iat and nbf, and both are switched off", help);
        }
    }

    fn check_never(&self, token: &RawToken, lifetime_span: Span, ledger: &mut Ledger) {
        if let Some(on) = self.exp.filter(|exp| exp.value) {
            ledger.error(
                on.span,
                "`claims.exp` = true with a lifetime of \"never\"",
                "give it a lifetime, or remove claims.exp",
            );
        }
        if matches!(self.rule(), RotateRule::Every(_)) {
            return;
        }
        let span = match self.exp {
            Some(Located { value: false, span }) => span,
            _ => lifetime_span,
        };
        let diagnostic =
            Diagnostic::error(format!("token `{}` never expires and has no rotate_every", token.name.value))
                .at(span)
                .help("add how often it is rotated: rotate_every = \"30d\"");
        ledger.push(match self.rule {
            Some(rule) => diagnostic.note(rule.span, "needs an expiry"),
            None => diagnostic,
        });
    }

    fn check_against(&self, lifetime: Duration, token: &RawToken, lifetime_span: Span, ledger: &mut Ledger) {
        let (name, rule) = match self.rule() {
            RotateRule::Before(rule) => ("rotate_before", Some(rule)),
            RotateRule::Every(rule) => ("rotate_every", Some(rule)),
            RotateRule::At(_) => ("rotate_at", None),
        };
        let rule = self.rule.filter(|_| rule.is_some_and(|rule| rule >= lifetime)).map(|rule| (name, rule.span));
        let interval =
            self.min_interval.filter(|interval| interval.value >= lifetime).map(|at| ("min_interval", at.span));
        for (name, span) in rule.into_iter().chain(interval) {
            ledger.push(
                Diagnostic::error(format!("`{name}` is not shorter than the lifetime of token `{}`", token.name.value))
                    .at(span)
                    .note(lifetime_span, format!("the lifetime is {}", humantime::format_duration(lifetime)))
                    .help(format!("shorten {name}, or lengthen {}", if self.told { "ttl" } else { "lifetime" })),
            );
        }
    }

    fn filled_in(&self) -> Timing {
        let base = Schedule::default();
        let lifetime = self.lifetime();
        // The built-in interval gives way to a life as short as itself; one that was set was checked.
        let min_interval = match (self.min_interval, lifetime) {
            (Some(interval), _) => interval.value,
            (None, Lifetime::For(lifetime)) => base.min_interval.min(lifetime / 2),
            (None, Lifetime::Never) => base.min_interval,
        };
        let value = |at: Option<Located<Duration>>, built_in| at.map_or(built_in, |at| at.value);
        let initial = value(self.initial, base.retry.initial);
        let max = value(self.max, base.retry.max);
        Timing {
            lifetime,
            schedule: Schedule {
                rule: self.rule(),
                jitter: self.jitter.map_or(base.jitter, |at| at.value),
                min_interval,
                warn_before: value(self.warn_before, base.warn_before),
                retry: Retry {
                    initial: if self.initial.is_some() { initial } else { initial.min(max) },
                    max: if self.max.is_some() { max } else { max.max(initial) },
                    rejected: value(self.rejected, base.retry.rejected),
                },
                skew: value(self.skew, base.skew),
            },
        }
    }
}

/// To the second, where it is one or more.
fn shown(lifetime: Duration) -> String {
    let whole = Duration::from_secs(lifetime.as_secs());
    humantime::format_duration(if whole.is_zero() { lifetime } else { whole }).to_string()
}

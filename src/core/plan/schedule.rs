//! Owns: lifetime and schedule of one token: its own keys, else `[defaults]`, else what is built in; and what contradicts.
//! Does not: know when anything is due.

use std::time::Duration;

use super::lacks::Ledger;
use crate::core::config::{RawDefaults, RawSource, RawToken, defaults};
use crate::core::finding::{At, Finding, Place};
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
    lifetime: Option<At<Lifetime>>,
    /// The exp claim is switched off or on.
    exp: Option<At<bool>>,
    skew: Option<At<Duration>>,
    rule: Option<At<RotateRule>>,
    jitter: Option<At<f64>>,
    min_interval: Option<At<Duration>>,
    initial: Option<At<Duration>>,
    max: Option<At<Duration>>,
    rejected: Option<At<Duration>>,
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
            initial: own.retry_initial.or(common.retry_initial),
            max: own.retry_max.or(common.retry_max),
            rejected: own.retry_rejected.or(common.retry_rejected),
        }
    }

    /// `Never` where there is no exp for any reason.
    fn lifetime(&self) -> Lifetime {
        match self.exp {
            Some(At { value: false, .. }) => Lifetime::Never,
            _ => self.lifetime.map_or_else(defaults::lifetime, |lifetime| lifetime.value),
        }
    }

    fn rule(&self) -> RotateRule {
        self.rule.map_or(Schedule::default().rule, |rule| rule.value)
    }

    fn check(&self, token: &RawToken, ledger: &mut Ledger) {
        let lifetime_place = self.lifetime.map_or(token.header, |lifetime| lifetime.place);
        match self.lifetime() {
            // Known only when a token is at hand.
            _ if self.told && self.lifetime.is_none() && !self.an_hour => self.check_held_back(None, token, ledger),
            Lifetime::Never => {
                self.check_never(token, lifetime_place, ledger);
                self.check_held_back(None, token, ledger);
            }
            Lifetime::For(span) => self.check_lifetime(span, token, lifetime_place, ledger),
        }
        if let (Some(initial), Some(max)) = (self.initial, self.max)
            && initial.value > max.value
        {
            ledger.push(
                Finding::error("`retry.initial` is longer than `retry.max`")
                    .at(initial.place)
                    .note(max.place, "the longest wait")
                    .help("the waits grow from initial to max"),
            );
        }
        self.check_skew(token, ledger);
    }

    /// A lifetime that is known: the config's own, the `ttl`, or GitHub's hour.
    fn check_lifetime(&self, span: Duration, token: &RawToken, place: Place, ledger: &mut Ledger) {
        let told = ledger.len();
        // A ttl that is no shorter than the hour decides nothing.
        let hour = self.an_hour && (self.lifetime.is_none() || span >= GITHUB_HOUR);
        if hour {
            self.check_hour(span, token, ledger);
        } else {
            self.check_spans(span, token, place, ledger);
        }
        let span = if hour { GITHUB_HOUR } else { span };
        if ledger.len() == told {
            self.check_held_back(Some(span), token, ledger);
        }
        if let Some(max) = self.max.filter(|max| max.value >= span) {
            ledger.push(
                Finding::warning(format!("`retry.max` is not shorter than token `{}` lives", token.name.value))
                    .at(max.place)
                    .note(place, format!("it lives {}", shown(span)))
                    .help(format!(
                        "when it has expired, up to {} pass before the next try: shorten retry.max",
                        shown(max.value)
                    )),
            );
        }
    }

    /// GitHub decides the lifetime. A rule that does not fit gives way, as where a lifetime is learnt from the answer; an
    /// interval does not.
    fn check_hour(&self, span: Duration, token: &RawToken, ledger: &mut Ledger) {
        let name = &token.name.value;
        if let Some(ttl) = self.lifetime.filter(|_| span > GITHUB_HOUR) {
            let help = "it is the lifetime at most: remove it, or make it shorter";
            ledger.warning(ttl.place, "`ttl` is longer than the hour that GitHub's tokens live", help);
        }
        if let Some(interval) = self.min_interval.filter(|interval| interval.value >= GITHUB_HOUR) {
            let title = format!("`min_interval` is not shorter than the hour that token `{name}` lives");
            ledger.error(interval.place, title, "GitHub's installation tokens live an hour: shorten min_interval");
        }
        let (key, rule) = match self.rule {
            Some(At { value: RotateRule::Before(rule), .. }) => ("rotate_before", rule),
            Some(At { value: RotateRule::Every(rule), .. }) => ("rotate_every", rule),
            _ => return,
        };
        if let Some(at) = self.rule.filter(|_| rule >= GITHUB_HOUR) {
            let title = format!("`{key}` is not shorter than the hour that token `{name}` lives");
            let rotated = shown(GITHUB_HOUR.mul_f64(FALLBACK));
            ledger.warning(at.place, title, format!("it is rotated {rotated} after it was issued: shorten {key}"));
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
        let finding = Finding::warning(format!(
            "token `{}` is due {} after it was issued, and `min_interval` holds it back until {} after",
            token.name.value,
            shown(planned),
            shown(interval.value)
        ));
        let finding = match self.rule {
            Some(rule) => finding.note(rule.place, "decides when it is due"),
            None => finding,
        };
        ledger.push(finding.at(interval.place).help(match lifetime {
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
            ledger.warning(skew.place, "`skew` backdates iat and nbf, and both are switched off", help);
        }
    }

    fn check_never(&self, token: &RawToken, lifetime_place: Place, ledger: &mut Ledger) {
        if let Some(on) = self.exp.filter(|exp| exp.value) {
            ledger.error(
                on.place,
                "`claims.exp` = true with a lifetime of \"never\"",
                "give it a lifetime, or remove claims.exp",
            );
        }
        if matches!(self.rule(), RotateRule::Every(_)) {
            return;
        }
        let place = match self.exp {
            Some(At { value: false, place }) => place,
            _ => lifetime_place,
        };
        let finding = Finding::error(format!("token `{}` never expires and has no rotate_every", token.name.value))
            .at(place)
            .help("add how often it is rotated: rotate_every = \"30d\"");
        ledger.push(match self.rule {
            Some(rule) => finding.note(rule.place, "needs an expiry"),
            None => finding,
        });
    }

    fn check_spans(&self, lifetime: Duration, token: &RawToken, lifetime_place: Place, ledger: &mut Ledger) {
        let (name, span) = match self.rule() {
            RotateRule::Before(span) => ("rotate_before", Some(span)),
            RotateRule::Every(span) => ("rotate_every", Some(span)),
            RotateRule::At(_) => ("rotate_at", None),
        };
        let rule = self.rule.filter(|_| span.is_some_and(|span| span >= lifetime)).map(|rule| (name, rule.place));
        let interval =
            self.min_interval.filter(|interval| interval.value >= lifetime).map(|at| ("min_interval", at.place));
        for (name, place) in rule.into_iter().chain(interval) {
            ledger.push(
                Finding::error(format!("`{name}` is not shorter than the lifetime of token `{}`", token.name.value))
                    .at(place)
                    .note(lifetime_place, format!("the lifetime is {}", humantime::format_duration(lifetime)))
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
            (None, Lifetime::For(span)) => base.min_interval.min(span / 2),
            (None, Lifetime::Never) => base.min_interval,
        };
        let value = |at: Option<At<Duration>>, built_in| at.map_or(built_in, |at| at.value);
        let initial = value(self.initial, base.retry.initial);
        let max = value(self.max, base.retry.max);
        Timing {
            lifetime,
            schedule: Schedule {
                rule: self.rule(),
                jitter: self.jitter.map_or(base.jitter, |at| at.value),
                min_interval,
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
fn shown(span: Duration) -> String {
    let whole = Duration::from_secs(span.as_secs());
    humantime::format_duration(if whole.is_zero() { span } else { whole }).to_string()
}

//! Owns: single values: durations, modes, accounts, paths, fractions, and what is said where they are wrong.
//! Does not: know which table they stand in.

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::hint;
use super::section::{Section, SectionReader};
use crate::core::config::keys::{self, ValueKind};
use crate::core::crypto::Exposure;
use crate::core::diagnostic::{Diagnostic, Located, quote};
use crate::core::settings::{Lifetime, Mode};

/// A user or group as it is written.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum UserOrGroup {
    Name(String),
    Number(u32),
}

/// A thousand years: longer is a slip, and would leave the calendar.
const LONGEST: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

impl SectionReader<'_> {
    /// A path, made absolute.
    pub(super) fn path(&mut self, text: Located<String>) -> Option<Located<PathBuf>> {
        match self.env.resolve(&text.value, self.base) {
            Ok(path) => Some(text.map(|_| path)),
            Err(problem) => {
                self.error(text.span, problem.to_string(), problem.help());
                None
            }
        }
    }

    /// An account by name, or by a number written as string or integer.
    fn account(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<UserOrGroup> {
        let number = match value.get_ref() {
            DeValue::String(text) if text.is_empty() => None,
            DeValue::String(text) if !text.bytes().all(|b| b.is_ascii_digit()) => {
                return Some(UserOrGroup::Name(text.to_string()));
            }
            DeValue::String(text) => text.parse::<u32>().ok(),
            DeValue::Integer(number) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => {
                self.wrong_type(name, "a name or a number", value, "");
                return None;
            }
        };
        // (uid_t)-1 means "leave it as it is" to chown(2).
        match number.filter(|number| *number != u32::MAX) {
            Some(number) => Some(UserOrGroup::Number(number)),
            None => {
                let span = self.span(value.span());
                self.error(span, format!("`{name}` names nobody"), "write a name, or a number below 4294967295");
                None
            }
        }
    }

    fn fraction(&mut self, name: &str, value: &Spanned<DeValue<'_>>) -> Option<f64> {
        match value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n as f64),
            _ => {
                let meant = value.get_ref().as_str().and_then(hint::fraction).unwrap_or(0.5);
                self.wrong_type(name, "a fraction", value, format!("without quotes: {name} = {meant}"));
                None
            }
        }
    }
}

/// A duration as humantime reads it, with a remedy where it does not.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(span) if span > LONGEST => Err("a duration is at most 1000 years".into()),
        Ok(span) => Ok(span),
        Err(_) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) => {
            Err(format!("a duration has a unit: \"{}s\"", short(text)))
        }
        Err(_) => Err("write a duration such as \"90s\", \"15m\" or \"1h 30m\"".into()),
    }
}

fn short(digits: &str) -> &str {
    digits.get(..12).unwrap_or(digits)
}

pub(super) fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

impl Section<'_, '_> {
    pub(super) fn text(&self, cx: &mut SectionReader<'_>, name: &str) -> Option<Located<String>> {
        self.text_or(cx, name, "a string", |_| "put it in quotes".into())
    }

    /// The text under `name`, which messages call `wanted`; `help` is for what is no text.
    fn text_or(
        &self,
        cx: &mut SectionReader<'_>,
        name: &str,
        wanted: &str,
        help: impl FnOnce(&DeValue<'_>) -> String,
    ) -> Option<Located<String>> {
        let value = self.asked(cx, name)?;
        if let DeValue::String(text) = value.get_ref() {
            return Some(cx.at(text.to_string(), value.span()));
        }
        cx.wrong_type(name, wanted, value, help(value.get_ref()));
        None
    }

    /// A text of visible ASCII characters and spaces, not empty (RFC 6749 A: VSCHAR).
    pub(super) fn visible(&self, cx: &mut SectionReader<'_>, key: &str) -> Option<String> {
        let text = self.text(cx, key)?;
        if text.value.trim().is_empty() || !is_visible(&text.value) {
            cx.error(
                text.span,
                format!("`{key}` is empty, or holds what is no visible ASCII character"),
                "write it as it was handed out",
            );
            return None;
        }
        Some(text.value)
    }

    pub(super) fn path(&self, cx: &mut SectionReader<'_>, name: &str) -> Option<Located<PathBuf>> {
        let text = self.text(cx, name)?;
        cx.path(text)
    }

    pub(super) fn texts(&self, cx: &mut SectionReader<'_>, name: &str) -> Vec<Located<String>> {
        let Some(value) = self.asked(cx, name) else {
            return Vec::new();
        };
        let DeValue::Array(array) = value.get_ref() else {
            let text = value.get_ref().as_str().unwrap_or("...");
            cx.wrong_type(name, "an array of strings", value, hint::list(name, text));
            return Vec::new();
        };
        let mut texts = Vec::with_capacity(array.len());
        for element in array.iter() {
            match element.get_ref() {
                DeValue::String(text) => texts.push(cx.at(text.to_string(), element.span())),
                _ => cx.wrong_type(name, "an array of strings", element, "each of them in quotes"),
            }
        }
        texts
    }

    pub(super) fn bool(&self, cx: &mut SectionReader<'_>, name: &str) -> Option<Located<bool>> {
        let value = self.asked(cx, name)?;
        match value.get_ref() {
            DeValue::Boolean(on) => Some(cx.at(*on, value.span())),
            _ => {
                let help = match hint::truth(value.get_ref()) {
                    Some(meant) => format!("write: {name} = {meant}"),
                    None => format!("write: {name} = true, or false"),
                };
                cx.wrong_type(name, "true or false", value, help);
                None
            }
        }
    }

    /// The same, else the default.
    pub(super) fn bool_or_default(&self, cx: &mut SectionReader<'_>, name: &str) -> bool {
        self.bool(cx, name).map_or_else(|| self.default(name) == "true", |on| on.value)
    }

    pub(super) fn account(&self, cx: &mut SectionReader<'_>, name: &str) -> Option<Located<UserOrGroup>> {
        let value = self.asked(cx, name)?;
        let account = cx.account(name, value)?;
        Some(cx.at(account, value.span()))
    }

    /// A duration of the kind that the table of keys says.
    pub(super) fn duration(&self, cx: &mut SectionReader<'_>, name: &str) -> Option<Located<Duration>> {
        let text = self.text_or(cx, name, "a duration", |value| {
            let meant = hint::seconds(value).unwrap_or_else(|| "90s".into());
            format!("a string with a unit: {name} = \"{meant}\"")
        })?;
        let span = match parse_duration(&text.value) {
            Ok(span) => text.map(|_| span),
            Err(help) => {
                cx.error(text.span, format!("`{name}` cannot be {}", quote(&text.value)), help);
                return None;
            }
        };
        let whole = matches!(self.kind(name), Some(ValueKind::Seconds | ValueKind::Lifetime));
        if whole && (span.value.is_zero() || span.value.subsec_nanos() != 0) {
            cx.error(
                span.span,
                format!("`{name}` is not a whole number of seconds, one at least"),
                format!("exp is written in seconds (RFC 7519 2): write \"1s\" or more{}", self.or_never(name)),
            );
            return None;
        }
        if self.kind(name) == Some(ValueKind::Span) && span.value.is_zero() {
            cx.error(span.span, format!("`{name}` cannot be zero"), "write a duration such as \"10s\"");
            return None;
        }
        Some(span)
    }

    /// The same, else the default.
    pub(super) fn duration_or_default(&self, cx: &mut SectionReader<'_>, name: &str) -> Duration {
        let default = || parse_duration(self.default(name)).unwrap_or_default();
        self.duration(cx, name).map_or_else(default, |span| span.value)
    }

    fn or_never(&self, name: &str) -> &'static str {
        if self.kind(name) == Some(ValueKind::Lifetime) { ", or \"never\"" } else { "" }
    }

    /// A number that somebody else gave, as text.
    pub(super) fn id(&self, cx: &mut SectionReader<'_>, name: &str) -> Option<String> {
        let value = self.asked(cx, name)?;
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) => number.as_str().to_owned(),
            _ => {
                cx.wrong_type(name, "a number", value, "");
                return None;
            }
        };
        if text.is_empty() || text.len() > 20 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            let span = cx.span(value.span());
            cx.error(span, format!("`{name}` is not a number: {}", quote(&text)), "digits alone, as it was given");
            return None;
        }
        Some(text)
    }

    pub(super) fn lifetime_value(&self, cx: &mut SectionReader<'_>, name: &str) -> Option<Located<Lifetime>> {
        if self.asked(cx, name)?.get_ref().as_str() == Some("never") {
            return Some(self.text(cx, name)?.map(|_| Lifetime::Never));
        }
        self.duration(cx, name).map(|span| span.map(Lifetime::For))
    }

    pub(super) fn mode(&self, cx: &mut SectionReader<'_>, name: &str) -> Option<Located<Mode>> {
        let Located { value: text, span } = self.text_or(cx, name, "a string", |value| {
            let meant = match value {
                DeValue::Integer(number) => hint::mode_of(number),
                _ => None,
            };
            format!("always octal, and a string: {name} = \"{}\"", meant.as_deref().unwrap_or("0640"))
        })?;
        let octal = !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'7'));
        let bits = u32::from_str_radix(&text, 8).ok().filter(|bits| octal && *bits <= 0o7777);
        let Some(bits) = bits else {
            let help = match hint::mode(&text) {
                Some(meant) => format!("octal digits: {name} = \"{meant}\""),
                None => "octal digits, at most \"7777\": \"0640\" lets its group read the file".into(),
            };
            cx.error(span, format!("`{name}` cannot be {}", quote(&text)), help);
            return None;
        };
        if Exposure::anybody_writes(bits) {
            cx.diagnostics.push(
                Diagnostic::warning(format!("with `{name}` = \"{text}\" anybody may write the file"))
                    .at(span)
                    .help("\"0640\" lets its group read it, \"0644\" everybody"),
            );
        }
        Some(Located { value: Mode(bits), span })
    }

    /// A fraction from 0 (allowed where its kind is `Fraction`) to below 1.
    pub(super) fn fraction(&self, cx: &mut SectionReader<'_>, name: &str) -> Option<Located<f64>> {
        let value = self.asked(cx, name)?;
        let zero = self.kind(name) == Some(ValueKind::Fraction);
        let number = cx.fraction(name, value)?;
        let good = number < 1.0 && if zero { number >= 0.0 } else { number > 0.0 };
        if !good {
            let span = cx.span(value.span());
            let range = if zero { "0 or more, and below 1" } else { "above 0 and below 1" };
            cx.error(
                span,
                format!("`{name}` is {range}"),
                format!("for instance: {name} = {}", if zero { "0.05" } else { "0.67" }),
            );
            return None;
        }
        Some(cx.at(number, value.span()))
    }

    /// One of the words that the table of keys has for it.
    pub(super) fn word(&self, cx: &mut SectionReader<'_>, name: &str) -> Option<Located<&'static str>> {
        let Some(ValueKind::Choice(words)) = self.kind(name) else { return None };
        self.choice(cx, name, |word| words.iter().copied().find(|known| *known == word))
    }

    /// One of a list of words.
    pub(super) fn choice<T>(
        &self,
        cx: &mut SectionReader<'_>,
        name: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Located<T>> {
        let word = self.text(cx, name)?;
        if let Some(value) = parse(&word.value) {
            return Some(word.map(|_| value));
        }
        let words = match self.kind(name) {
            Some(ValueKind::Choice(words) | ValueKind::OpenChoice(words)) => words,
            _ => &[],
        };
        let near = words
            .iter()
            .find(|known| known.eq_ignore_ascii_case(&word.value))
            .copied()
            .or_else(|| keys::most_like(&word.value, words.iter().copied()));
        let help = match near {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("one of {}", words.join(", ")),
        };
        cx.error(word.span, format!("`{name}` cannot be {}", quote(&word.value)), help);
        None
    }
}

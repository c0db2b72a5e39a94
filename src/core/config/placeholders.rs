//! Owns: texts with placeholders as written: that each placeholder is known and has something to stand for, and that
//! nothing was given which no placeholder uses. What stands in such tables may be a secret: it is never shown.
//! Does not: fill anything in.

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::claims::json;
use super::section::{Section, SectionReader, in_order};
use crate::core::config::keys::most_like;
use crate::core::diagnostic::{Located, Span, quote};
use crate::core::pattern::{Pattern, PatternError, Placeholder};
use crate::core::redact;
use crate::core::settings::TokenName;

/// What a placeholder other than a token's name may stand for.
struct GivenPlaceholder {
    word: &'static str,
    /// `None`: the source has no such key. `Some(None)`: it is not given.
    span: Option<Option<Span>>,
    is_used: bool,
}

/// What placeholders of one token may stand for, and which were met.
pub(super) struct Placeholders {
    secret: GivenPlaceholder,
    refresh_token: GivenPlaceholder,
    /// `None`: the source takes none. Each with whether it was met.
    secrets: Option<Vec<(Located<String>, bool)>>,
    /// A text was wrong: what no placeholder uses may be used there.
    flawed: bool,
    pub tokens: Vec<Located<TokenName>>,
}

impl Placeholders {
    pub(super) fn of(cx: &SectionReader<'_>, token: &Section<'_, '_>) -> Self {
        let given =
            |word| GivenPlaceholder { word, span: token.knows(word).then(|| token.key_span(cx, word)), is_used: false };
        let (secret, refresh_token) = (given("secret"), given("refresh_token"));
        Self { secret, refresh_token, secrets: secrets(cx, token), flawed: false, tokens: Vec::new() }
    }

    /// Of a source that sends its `refresh_token` by itself.
    pub(super) fn of_secrets(cx: &SectionReader<'_>, token: &Section<'_, '_>) -> Self {
        let none = |word| GivenPlaceholder { word, span: None, is_used: false };
        let (secret, refresh_token) = (none("secret"), none("refresh_token"));
        Self { secret, refresh_token, secrets: secrets(cx, token), flawed: false, tokens: Vec::new() }
    }

    /// Takes a text apart; `name` is how its key is called in messages.
    pub(super) fn pattern(
        &mut self,
        cx: &mut SectionReader<'_>,
        name: &str,
        text: &Located<String>,
    ) -> Option<Pattern> {
        match Pattern::parse(&text.value) {
            Ok(pattern) => {
                pattern.placeholders().for_each(|placeholder| self.meet(cx, name, placeholder, text.span));
                Some(pattern)
            }
            Err(wrong) => {
                self.flawed = true;
                let title = match wrong {
                    PatternError::Open => format!("`{name}` holds `{{{{` without `}}}}`"),
                    PatternError::Unknown(word) => match Self::meant(&word) {
                        true => format!("`{name}` holds a placeholder that is not known: {}", quote(&word)),
                        false => format!("`{name}` holds a placeholder that is not known"),
                    },
                };
                cx.error(text.span, title, self.known());
                None
            }
        }
    }

    /// Whether a word is a slip for a placeholder: anything else may be a part of a secret, and is not shown.
    fn meant(word: &str) -> bool {
        ["token", "secrets."].iter().any(|begin| word.starts_with(begin))
            || most_like(word, ["secret", "secrets", "refresh_token", "token"].into_iter()).is_some()
    }

    fn meet(&mut self, cx: &mut SectionReader<'_>, name: &str, placeholder: &Placeholder, span: Span) {
        let given = match placeholder {
            Placeholder::Secret => &mut self.secret,
            Placeholder::RefreshToken => &mut self.refresh_token,
            Placeholder::Named(wanted) => return self.meet_named(cx, name, wanted, span),
            Placeholder::Token(parent) => {
                self.tokens.push(Located { value: parent.clone(), span });
                return;
            }
        };
        given.is_used = true;
        let word = given.word;
        match given.span {
            Some(Some(_)) => {}
            Some(None) => cx.error(
                span,
                format!("`{name}` holds {{{{ {word} }}}}, and there is no `{word}`"),
                format!("add where it is: {word}.file = \"...\""),
            ),
            None => cx.error(span, format!("`{name}` cannot hold {{{{ {word} }}}}"), self.known()),
        }
    }

    fn meet_named(&mut self, cx: &mut SectionReader<'_>, name: &str, wanted: &str, span: Span) {
        let Some(secrets) = &mut self.secrets else {
            return cx.error(span, format!("`{name}` cannot hold {{{{ secrets.{wanted} }}}}"), self.known());
        };
        if let Some((_, is_used)) = secrets.iter_mut().find(|(given, _)| given.value == wanted) {
            *is_used = true;
            return;
        }
        let help = match most_like(wanted, secrets.iter().map(|(given, _)| given.value.as_str())) {
            Some(near) => format!("did you mean {{{{ secrets.{near} }}}}?"),
            None => format!("add where it is: secrets.{wanted}.file = \"...\""),
        };
        self.flawed = true;
        cx.error(span, format!("`{name}` holds {{{{ secrets.{wanted} }}}}, and there is no `secrets.{wanted}`"), help);
    }

    /// What may stand in a placeholder.
    fn known(&self) -> String {
        let known = [&self.secret, &self.refresh_token].into_iter().filter(|given| given.span.is_some());
        let mut words: Vec<_> = known.map(|given| format!("{{{{ {} }}}}", given.word)).collect();
        words.extend(self.secrets.is_some().then(|| "{{ secrets.NAME }}".into()));
        words.push("{{ token.NAME }}".into());
        format!("known here: {}", words.join(", "))
    }

    /// Tells what is given and used nowhere, and hands over the tokens that were named.
    pub(super) fn finish(self, cx: &mut SectionReader<'_>, spans: &str) {
        for GivenPlaceholder { word, span, is_used } in [self.secret, self.refresh_token] {
            if let Some(span) = span.flatten().filter(|_| !is_used && !self.flawed) {
                let help = format!("write {{{{ {word} }}}} where it belongs, in {spans}, or remove it");
                cx.error(span, format!("`{word}` is used nowhere"), help);
            }
        }
        for (given, is_used) in self.secrets.into_iter().flatten() {
            if !is_used && !self.flawed {
                let called = format!("secrets.{}", given.value);
                let help = format!("write {{{{ {called} }}}} where it belongs, in {spans}, or remove it");
                cx.error(given.span, format!("`{called}` is used nowhere"), help);
            }
        }
        cx.parents.extend(self.tokens);
    }

    /// Every string of a JSON value is a pattern.
    pub(super) fn json(
        &mut self,
        cx: &mut SectionReader<'_>,
        name: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Value> {
        self.strings(cx, name, value);
        json(cx, value)
    }

    fn strings(&mut self, cx: &mut SectionReader<'_>, name: &str, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::String(text) => {
                let text = cx.at(text.to_string(), value.span());
                self.pattern(cx, name, &text);
            }
            DeValue::Array(items) => items.iter().for_each(|item| self.strings(cx, name, item)),
            DeValue::Table(members) => {
                for (key, member) in in_order(members) {
                    self.strings(cx, &format!("{name}.{}", redact::name(key.get_ref())), member);
                }
            }
            _ => {}
        }
    }
}

/// The names of `secrets`, where the source takes such.
fn secrets(cx: &SectionReader<'_>, token: &Section<'_, '_>) -> Option<Vec<(Located<String>, bool)>> {
    let value = token.knows("secrets").then(|| token.value("secrets"))?;
    let members = value.and_then(|value| value.get_ref().as_table()).map(in_order).unwrap_or_default();
    // Another name is told where it is read.
    let named = members.into_iter().filter(|(name, _)| TokenName::new(name.get_ref()).is_some());
    Some(named.map(|(name, _)| (cx.at(name.get_ref().to_string(), name.span()), false)).collect())
}

/// A member of a table of texts: its key, and its value.
pub(super) type TextMember = (Located<String>, Located<String>);

/// The members of a table of texts, in order of the file. With `lists` one may be a list of texts: a member each.
pub(super) fn pairs(cx: &mut SectionReader<'_>, section: &Section<'_, '_>, name: &str, lists: bool) -> Vec<TextMember> {
    let wanted = if lists { "a string, or a list of strings" } else { "a string" };
    let mut pairs = Vec::new();
    for (key, value) in section.members(cx, name) {
        let key = cx.at(key.get_ref().to_string(), key.span());
        let elements = match value.get_ref() {
            DeValue::Array(items) if lists => items.iter().collect(),
            _ => vec![value],
        };
        for element in elements {
            match element.get_ref() {
                DeValue::String(text) => {
                    let text = cx.at(text.to_string(), element.span());
                    pairs.push((Located { value: key.value.clone(), span: key.span }, text));
                }
                _ => {
                    cx.wrong_type(&format!("{name}.{}", redact::name(&key.value)), wanted, element, "put it in quotes")
                }
            }
        }
    }
    pairs
}

//! Owns: texts with placeholders (`{{ secret }}`, `{{ secrets.NAME }}`, `{{ refresh_token }}`, `{{ token.NAME }}`): read once, filled in per use.
//! Does not: know where a text is sent, or escape for it.

use std::fmt;

use serde_json::Value;

use super::secret::Secret;
use super::settings::TokenName;

/// A text, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern(Vec<PatternPiece>);

#[derive(Clone, PartialEq, Eq)]
enum PatternPiece {
    Text(String),
    Placeholder(Placeholder),
}

/// What a placeholder stands for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Placeholder {
    /// `{{ secret }}`: of the token's own `secret`.
    Secret,
    /// `{{ secrets.NAME }}`: of the token's own `secrets`.
    Named(String),
    /// `{{ refresh_token }}`: the newest one.
    RefreshToken,
    /// `{{ token.NAME }}`: the value of another token of the config.
    Token(TokenName),
}

/// Why a text is no pattern. Says nothing of the text around.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PatternError {
    /// A placeholder that does not end.
    #[error("`{{{{` without `}}}}`")]
    Open,
    /// One that stands for nothing, by what stands between its braces.
    #[error("`{{{{ {0} }}}}` is no placeholder")]
    Unknown(String),
}

/// A placeholder for which nothing was given.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("nothing is at hand for the placeholder {0:?}")]
pub struct Missing(pub Placeholder);

impl Pattern {
    /// Takes a text apart.
    ///
    /// # Errors
    /// A placeholder that does not end, or that is not known.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, behind) = after.split_once("}}").ok_or(PatternError::Open)?;
            if !before.is_empty() {
                pieces.push(PatternPiece::Text(before.to_owned()));
            }
            let inside = inside.trim();
            pieces.push(PatternPiece::Placeholder(
                Placeholder::parse(inside).ok_or_else(|| PatternError::Unknown(inside.to_owned()))?,
            ));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(PatternPiece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Its placeholders, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.0.iter().filter_map(|piece| match piece {
            PatternPiece::Placeholder(placeholder) => Some(placeholder),
            PatternPiece::Text(_) => None,
        })
    }

    /// The text as it was written, for a canonical form: it holds no secret.
    pub fn source(&self) -> String {
        self.0.iter().map(PatternPiece::source).collect()
    }

    /// The whole text, each placeholder replaced as `give` says.
    ///
    /// # Errors
    /// One for which `give` has nothing.
    pub fn fill<'s>(&'s self, give: impl Fn(&Placeholder) -> Option<&'s str>) -> Result<Secret<String>, Missing> {
        let part = |piece: &'s PatternPiece| match piece {
            PatternPiece::Text(text) => Ok(text.as_str()),
            PatternPiece::Placeholder(placeholder) => give(placeholder).ok_or_else(|| Missing(placeholder.clone())),
        };
        let parts = self.0.iter().map(part).collect::<Result<Vec<_>, _>>()?;
        // Room is made once: no part of a secret stays in freed memory.
        Ok(Secret::new(parts.concat()))
    }
}

/// Somebody may have written a secret into the text: only the placeholders are shown.
impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.placeholders()).finish()
    }
}

impl PatternPiece {
    fn source(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Placeholder(Placeholder::Secret) => "{{ secret }}".into(),
            Self::Placeholder(Placeholder::Named(name)) => format!("{{{{ secrets.{name} }}}}"),
            Self::Placeholder(Placeholder::RefreshToken) => "{{ refresh_token }}".into(),
            Self::Placeholder(Placeholder::Token(name)) => format!("{{{{ token.{name} }}}}"),
        }
    }
}

impl Placeholder {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "secret" => Some(Self::Secret),
            "refresh_token" => Some(Self::RefreshToken),
            _ => match text.strip_prefix("secrets.") {
                Some(name) => TokenName::new(name).map(|name| Self::Named(name.as_str().to_owned())),
                None => TokenName::new(text.strip_prefix("token.")?).map(Self::Token),
            },
        }
    }
}

/// Every string of a JSON value, keys left alone, in order.
pub fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(members) => members.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_and_filled() {
        let pattern = Pattern::parse("a{{ secret }}b{{token.x.y}}{{ refresh_token }}{{secrets.n}}").unwrap();
        let name = TokenName::new("x.y").unwrap();
        let placeholders: Vec<_> = pattern.placeholders().cloned().collect();
        let named = Placeholder::Named("n".into());
        assert_eq!(placeholders, [Placeholder::Secret, Placeholder::Token(name), Placeholder::RefreshToken, named]);
        let give = |placeholder: &Placeholder| match placeholder {
            Placeholder::Secret => Some("S"),
            Placeholder::Token(_) => Some("T{{ secret }}"),
            Placeholder::RefreshToken => Some("R"),
            Placeholder::Named(_) => Some("N"),
        };
        assert_eq!(pattern.fill(give).unwrap().expose(), "aSbT{{ secret }}RN");
        assert_eq!(pattern.source(), "a{{ secret }}b{{ token.x.y }}{{ refresh_token }}{{ secrets.n }}");
        assert_eq!(pattern.fill(|_| None), Err(Missing(Placeholder::Secret)));
    }

    #[test]
    fn debug_shows_placeholders_alone() {
        let pattern = Pattern::parse("Basic hunter2 {{ token.a }}").unwrap();
        assert_eq!(format!("{pattern:?}"), "[Token(a)]");
    }

    #[test]
    fn what_is_no_placeholder_is_told() {
        assert_eq!(Pattern::parse("a {{ secret"), Err(PatternError::Open));
        assert_eq!(Pattern::parse("{{ secrt }}"), Err(PatternError::Unknown("secrt".into())));
        assert_eq!(Pattern::parse("{{ token. }}"), Err(PatternError::Unknown("token.".into())));
        assert_eq!(Pattern::parse("{ } }} {").unwrap().source(), "{ } }} {");
    }
}

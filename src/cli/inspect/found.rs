//! Owns: where the token is that `inspect` shows: the argument itself, stdin, a file, or the outputs of a NAME; and which of
//! several in one env file.
//! Does not: judge a token, or obtain one: what is not on disk is not shown.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::Surroundings;
use crate::cli::exit::Failure;
use crate::cli::input;
use crate::core::config;
use crate::core::crypto::without_newline;
use crate::core::jose::Jws;
use crate::core::redact::looks_opaque;
use crate::core::secret::Secret;
use crate::core::settings::{Format, is_variable};
use crate::host::load;

/// The token that an argument means. In this order: `-` is stdin; a token, an Authorization line, an assignment; what has
/// a slash is a file; the NAME of a token of the config; a file of the working folder. Anything else is taken for a token,
/// and told as one that is none.
pub(super) fn token(
    asked: Option<&str>,
    variable: Option<&str>,
    around: &Surroundings,
) -> Result<Secret<String>, Failure> {
    let Some(text) = asked.filter(|text| *text != "-") else {
        return of_content(&input::token_from_stdin()?, variable);
    };
    if Jws::parse(text).is_ok() {
        return Ok(Secret::new(text.to_owned()));
    }
    if let Some(written) = WrittenForm::of(text).filter(|written| !matches!(written, WrittenForm::Json(None))) {
        return written.token(variable);
    }
    if text.contains('/') {
        return from_file(Path::new(text), variable);
    }
    let config = load::find_config(around.config.as_deref(), &around.env);
    let outline = config.as_ref().map(|path| load::outline(path, &around.env));
    if let Ok(Ok(outline)) = &outline
        && let Some(token) = outline.tokens.iter().find(|token| token.name.as_str() == text)
    {
        return from_outputs(&token.outputs, text);
    }
    if Path::new(text).metadata().is_ok() {
        return from_file(Path::new(text), variable);
    }
    // What it is not is not said of something that looks like a token.
    if text.contains('.') {
        return Ok(Secret::new(text.to_owned()));
    }
    let config = match (&config, outline) {
        (Ok(path), Ok(Err(why))) => format!("the config {} {why}", path.display()),
        (Ok(path), _) => format!("the config {} has no token of that name", path.display()),
        (Err(none), _) => none.to_string(),
    };
    Err(Failure::failed(format!("it is not a JWT, there is no file of that name, and {config}")))
}

fn from_file(path: &Path, variable: Option<&str>) -> Result<Secret<String>, Failure> {
    let text = read_file(path).map_err(Failure::failed)?;
    of_content(&text, variable).map_err(|failure| told_of(path, failure))
}

fn told_of(path: &Path, failure: Failure) -> Failure {
    Failure { message: format!("{}: {}", path.display(), failure.message), ..failure }
}

/// The first of a token's outputs that can be read back.
fn from_outputs(outputs: &[(PathBuf, Format<config::Written>)], name: &str) -> Result<Secret<String>, Failure> {
    let mut problems = Vec::new();
    for (path, format) in outputs {
        if format.template().is_some() {
            problems.push(format!("{} is made by a template: name it to have it read", path.display()));
            continue;
        }
        let variable = format.variable().map(|variable| variable.value.as_str());
        match read_file(path)
            .and_then(|text| of_content(&text, variable).map_err(|failure| told_of(path, failure).message))
        {
            Ok(token) => return Ok(token),
            Err(problem) => problems.push(problem),
        }
    }
    let ask = format!("`renewd token {name} | renewd inspect -` shows the one that renewd holds");
    Err(Failure::failed(match problems.is_empty() {
        true => format!("token {name} has no output to read it from; {ask}"),
        false => format!("token {name}: {}; {ask}", problems.join("; ")),
    }))
}

fn read_file(path: &Path) -> Result<Secret<String>, String> {
    let shown = path.display();
    let open = || -> io::Result<File> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() { Err(io::ErrorKind::IsADirectory.into()) } else { Ok(file) }
    };
    match open() {
        Ok(mut file) => input::read_text(&mut file).map_err(|why| format!("{shown}: {why}")),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(denied(path)),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => Err(format!("{shown} is a folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!("there is no {shown}")),
        Err(error) => Err(format!("{shown}: {error}")),
    }
}

/// Who may not read a file, and who may.
fn denied(path: &Path) -> String {
    let user = uzers::get_user_by_uid(uzers::get_effective_uid());
    let user = user.map_or("you".into(), |user| user.name().to_string_lossy().into_owned());
    let name = |found: Option<String>, number: u32| found.unwrap_or_else(|| number.to_string());
    let whose = path.metadata().map(|about| {
        let owner = uzers::get_user_by_uid(about.uid()).map(|user| user.name().to_string_lossy().into_owned());
        let group = uzers::get_group_by_gid(about.gid()).map(|group| group.name().to_string_lossy().into_owned());
        let (owner, group) = (name(owner, about.uid()), name(group, about.gid()));
        format!("it belongs to {owner}, group {group}, mode {:04o}", about.mode() & 0o7777)
    });
    let whose = whose.unwrap_or_else(|_| "nor look into its folder".into());
    format!("{user} may not read {}: {whose}", path.display())
}

/// The token of a text: a bare one to the byte, a newline at its end aside, else one of those that renewd writes.
fn of_content(text: &Secret<String>, variable: Option<&str>) -> Result<Secret<String>, Failure> {
    let text = text.expose();
    let bare = &text[..without_newline(text.as_bytes()).len()];
    if Jws::parse(bare).is_ok() {
        return Ok(Secret::new(bare.to_owned()));
    }
    match WrittenForm::of(text) {
        Some(written) => written.token(variable),
        None => Ok(Secret::new(bare.to_owned())),
    }
}

/// A form in which renewd writes a token, found by what stands there.
enum WrittenForm<'t> {
    /// `{"token": "..."}`, as the format json has it; `None`: an object without such a member.
    Json(Option<String>),
    /// `Authorization: Bearer X`, or the value alone.
    Header(&'t str),
    /// `NAME=value`, with `export` and quotes or without.
    Variables(Vec<(&'t str, &'t str)>),
}

impl<'t> WrittenForm<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let text = text.trim();
        if text.starts_with('{') {
            let object: Value = serde_json::from_str(text).ok()?;
            return Some(Self::Json(object.get("token").and_then(Value::as_str).map(str::to_owned)));
        }
        if let Some(token) = bearer(text) {
            return Some(Self::Header(token));
        }
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let variables: Option<Vec<_>> = lines.map(assignment).collect();
        variables.filter(|variables| !variables.is_empty()).map(Self::Variables)
    }

    fn token(self, variable: Option<&str>) -> Result<Secret<String>, Failure> {
        let found = match self {
            Self::Json(Some(token)) => Ok(token),
            Self::Json(None) => Err(Failure::failed("it is a JSON object without a text `token`")),
            Self::Header(token) => Ok(token.to_owned()),
            Self::Variables(variables) => return of_variables(&variables, variable),
        };
        match variable {
            Some(_) if found.is_ok() => {
                Err(Failure::usage("--variable goes with lines of NAME=value, and there are none"))
            }
            _ => found.map(Secret::new),
        }
    }
}

/// Of several lines the one that was asked for, else the only one that holds a token.
fn of_variables(variables: &[(&str, &str)], asked: Option<&str>) -> Result<Secret<String>, Failure> {
    let names = |all: &[&(&str, &str)]| {
        let shown = all.iter().map(|(name, _)| if looks_opaque(name) { "(not shown)" } else { *name });
        shown.collect::<Vec<_>>().join(", ")
    };
    let all: Vec<_> = variables.iter().collect();
    if let Some(asked) = asked {
        // As for sh, the last one counts.
        let found = variables.iter().rev().find(|(name, _)| *name == asked);
        return found
            .map(|(_, value)| Secret::new((*value).to_owned()))
            .ok_or_else(|| Failure::failed(format!("there is no variable {asked}; there are {}", names(&all))));
    }
    let tokens: Vec<_> = variables.iter().filter(|(_, value)| Jws::parse(value).is_ok()).collect();
    match (tokens.as_slice(), all.as_slice()) {
        ([(_, token)], _) | ([], [(_, token)]) => Ok(Secret::new((*token).to_owned())),
        ([], _) => Err(Failure::failed(format!("none of its variables holds a JWT: {}", names(&all)))),
        (several, _) => {
            Err(Failure::usage(format!("there are several tokens; choose by --variable one of {}", names(several))))
        }
    }
}

/// The credentials of RFC 6750 2.1, the field's name before them or not.
fn bearer(line: &str) -> Option<&str> {
    if line.contains('\n') {
        return None;
    }
    let value = match line.split_once(':') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("authorization") => value.trim(),
        _ => line,
    };
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn assignment(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix("export ").map_or(line, str::trim_start).split_once('=')?;
    let unquoted = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    is_variable(name).then(|| (name, unquoted('"').or_else(|| unquoted('\'')).unwrap_or(value)))
}

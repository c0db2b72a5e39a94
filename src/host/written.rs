//! Owns: the files of a config as a person finds them now: which of them names a token, and what stands there.
//! Does not: judge them, or know what the daemon runs.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::load::LARGEST_CONFIG;
use super::{facts, include, patience};
use crate::core::config::{self, Role, Setting, written};
use crate::core::environment::Environment;

/// What the files say of one token.
#[derive(Clone, Debug)]
pub(crate) struct WrittenToken {
    /// The file that the token stands in, and its own settings there.
    pub file: PathBuf,
    pub token: Vec<Setting>,
    /// Of that file and the main one the one that was changed last, and when.
    pub changed: Option<(PathBuf, SystemTime)>,
    /// Settings of `[defaults]`, in the main file, that the token takes.
    pub defaults: Vec<Setting>,
    /// What renewd takes of itself.
    pub built_in: Vec<Setting>,
}

struct FileText {
    path: PathBuf,
    text: Zeroizing<String>,
    hidden: Vec<std::ops::Range<usize>>,
    include: Vec<PathBuf>,
}

/// Looks a token up in the main file and in those it includes.
///
/// # Errors
/// A sentence that says which file cannot be read, or that none names the token.
pub(crate) fn written(main: &Path, name: &str, env: &Environment) -> Result<WrittenToken, String> {
    let (main, name, env) = (main.to_path_buf(), name.to_owned(), env.clone());
    // A place whose file system hangs is left out, and told.
    patience::patiently(move || look_up(&main, &name, &env), Result::clone)
}

fn look_up(main: &Path, name: &str, env: &Environment) -> Result<WrittenToken, String> {
    let first = read(main, Role::Main, env)?;
    let all = written::of_defaults(&first.text, &first.hidden);
    let mut unread = Vec::new();
    let mut found = find(&first, name);
    for path in first.include.iter().flat_map(|glob| include::expand(glob).files).filter(|path| path != main) {
        if found.is_some() {
            break;
        }
        match read(&path, Role::Included, env) {
            Ok(text) => found = find(&text, name),
            Err(why) => unread.push(why),
        }
    }
    let Some((file, token)) = found else {
        unread.insert(0, format!("{} and what it includes do not name it now", main.display()));
        return Err(unread.join("; "));
    };
    let defaults = written::applying(all.clone(), &token);
    let built_in = written::built_in(&token, &all);
    let changed = [main, &file].into_iter().filter_map(|path| Some((path.to_path_buf(), changed(path)?)));
    let changed = changed.max_by_key(|(_, at)| *at);
    Ok(WrittenToken { file, changed, token, defaults, built_in })
}

fn changed(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|meta| meta.modified()).ok()
}

fn find(text: &FileText, name: &str) -> Option<(PathBuf, Vec<Setting>)> {
    written::of_token(&text.text, &text.hidden, name).map(|settings| (text.path.clone(), settings))
}

fn read(path: &Path, role: Role, env: &Environment) -> Result<FileText, String> {
    let mut read = facts::read_config(path, LARGEST_CONFIG).map_err(|why| format!("{} {why}", path.display()))?;
    let text = match String::from_utf8(std::mem::take(&mut *read.bytes)) {
        Ok(text) => Zeroizing::new(text),
        Err(wrong) => {
            drop(Zeroizing::new(wrong.into_bytes()));
            return Err(format!("{} is not UTF-8", path.display()));
        }
    };
    let base = path.parent().unwrap_or(Path::new("/"));
    let config::FileRead { raw, hidden, broken, .. } = config::read(&text, 0, base, role, env);
    if broken {
        return Err(format!("{} is not TOML now: `renewd check` shows where it is broken", path.display()));
    }
    let include = raw.include.into_iter().map(|glob| glob.value).collect();
    Ok(FileText { path: path.to_path_buf(), text, hidden, include })
}

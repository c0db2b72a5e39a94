//! Owns: both files of `init` in place, whole, or neither; their modes and owners; what was made on the way is taken away
//! again where it fails.
//! Does not: know their text. What is written is read as every command would before it gets its name.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, fchown};

use super::place::{Destination, WrittenFiles, exists};
use crate::cli::aside::tell;
use crate::cli::exit::Failure;
use crate::cli::input;
use crate::cli::{Surroundings, colour};
use crate::core::secret::Secret;
use crate::host::load::{Loaded, load};

/// The user and group of the system's daemon (packaging/systemd/renewd.sysusers).
const DAEMON: &str = "renewd";

/// Writes the secret and then the config that names it.
pub(super) fn both(
    place: &Destination,
    text: &str,
    secret: Option<&Secret<Vec<u8>>>,
    around: &Surroundings,
) -> Result<WrittenFiles, Failure> {
    let group = if place.system { uzers::get_group_by_name(DAEMON).map(|group| group.gid()) } else { None };
    let access = Access { mode: if group.is_some() { 0o640 } else { 0o600 }, group };
    let mut undo = Undo::default();
    for path in [&place.main, &place.file] {
        folder(path.parent().unwrap_or(Path::new("/")), access, &mut undo)?;
    }
    if let Some(tokens) = &place.tokens {
        folder(tokens, Access { mode: 0o600, group: None }, &mut undo)?;
    }
    if let Some(bytes) = secret {
        let draft = NewFile::write(&place.secret, bytes.expose(), access)?;
        draft.publish(&place.secret, &mut undo)?;
    }
    let draft = NewFile::write(&place.file, text.as_bytes(), access)?;
    let loaded = load(&draft.path, &around.env);
    let notes = judge(&loaded, &draft.path, &place.file, around)?;
    draft.publish(&place.file, &mut undo)?;
    if place.is_included() {
        whole(place, around)?;
    }
    undo.made.clear();
    let alone = place.system && group.is_none();
    let lone = alone.then(|| format!("there is no group {DAEMON} here, so root alone may read the secret: install renewd's packages or sysusers.d file, then `chgrp {DAEMON}` it and `chmod 640`"));
    let shown = match access.group {
        Some(_) => format!("mode 0640, group {DAEMON}"),
        None => "mode 0600".into(),
    };
    Ok(WrittenFiles { secret: secret.map(|_| shown), notes: lone.into_iter().chain(notes).collect() })
}

/// Refuses a secret or key that does not fit; what else is missing on this machine is told.
fn judge(loaded: &Loaded, draft: &Path, file: &Path, around: &Surroundings) -> Result<Vec<String>, Failure> {
    let fits = loaded.plan.as_ref().is_some_and(|plan| plan.tokens.iter().all(|token| token.lack.is_none()));
    let (draft, file) = (draft.display().to_string(), file.display().to_string());
    if !fits {
        tell(&loaded.report.render(colour::of_diagnostics(&around.env)).replace(&draft, &file));
        return Err(Failure::failed("that does not fit: nothing was written"));
    }
    let found = loaded.report.lines();
    Ok(found.map(|(_, line)| line.replace(&draft, &file)).collect())
}

/// The config with the new file in it.
fn whole(place: &Destination, around: &Surroundings) -> Result<(), Failure> {
    let loaded = load(&place.main, &around.env);
    if loaded.plan.is_some() {
        return Ok(());
    }
    tell(&loaded.report.render(colour::of_diagnostics(&around.env)));
    Err(Failure::failed(format!("with it {} would be refused: nothing was written", place.main.display())))
}

/// Who may read a file.
#[derive(Clone, Copy)]
struct Access {
    mode: u32,
    group: Option<u32>,
}

/// What is taken away again, the last first, unless all went well.
#[derive(Default)]
struct Undo {
    made: Vec<PathBuf>,
}

impl Drop for Undo {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir(path));
        }
    }
}

fn folder(path: &Path, access: Access, undo: &mut Undo) -> Result<(), Failure> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        folder(parent, access, undo)?;
    }
    let failed = |error: io::Error| Failure::failed(format!("the folder {}: {error}", path.display()));
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => undo.made.push(path.to_path_buf()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(failed(error)),
    }
    let Some(group) = access.group else { return Ok(()) };
    let open = File::open(path).map_err(failed)?;
    fchown(&open, None, Some(Gid::from_raw(group))).map_err(|error| failed(error.into()))?;
    open.set_permissions(std::fs::Permissions::from_mode(0o750)).map_err(failed)
}

/// A file that is whole and on disk, under a name that nobody knows yet; gone with this value.
struct NewFile {
    path: PathBuf,
}

impl NewFile {
    fn write(target: &Path, bytes: &[u8], access: Access) -> Result<Self, Failure> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let number = getrandom::u32().map_err(input::no_random_numbers)?;
        let path = target.with_file_name(format!(".{name}.init-{number:08x}"));
        let failed = |error: io::Error| Failure::failed(format!("{}: {error}", path.display()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let draft = Self { path: path.clone() };
        if let Some(group) = access.group {
            fchown(&file, None, Some(Gid::from_raw(group))).map_err(|error| failed(error.into()))?;
        }
        file.set_permissions(std::fs::Permissions::from_mode(access.mode)).map_err(failed)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(draft)
    }

    /// Gives it its name, unless there is a file of that name.
    fn publish(self, target: &Path, undo: &mut Undo) -> Result<(), Failure> {
        match std::fs::hard_link(&self.path, target) {
            Ok(()) => undo.made.push(target.to_path_buf()),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(exists(target)),
            Err(error) => return Err(Failure::failed(format!("{}: {error}", target.display()))),
        }
        let synced = target.parent().map_or(Ok(()), |folder| File::open(folder).and_then(|folder| folder.sync_all()));
        synced.map_err(|error| Failure::failed(format!("the folder of {}: {error}", target.display())))
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

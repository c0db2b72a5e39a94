//! Owns: what a config wants to know of the machine, each thing once.
//! Does not: ask; `host::facts` answers.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::raw::{RawConfig, RawFile, RawSource, RawToken};
use super::value::UserOrGroup;
use crate::core::diagnostic::Located;
use crate::core::environment::Environment;

/// Questions to the machine.
#[derive(Default)]
pub(crate) struct Wants<'r> {
    pub users: HashSet<&'r str>,
    pub groups: HashSet<&'r str>,
    /// Files that will be written.
    pub outputs: HashSet<&'r Path>,
    /// Folders that must be there.
    pub folders: HashSet<&'r Path>,
    /// Where the state is: made where it is missing.
    pub state_dir: Option<PathBuf>,
    /// Secrets, keys and templates: their content and permissions.
    pub files: HashSet<PathBuf>,
    /// Programs of hooks and of `source = "command"`: absolute, or without a slash and looked up in $PATH.
    pub programs: HashSet<&'r str>,
    /// argv of what prints credentials.
    pub commands: HashSet<&'r [String]>,
}

impl<'r> Wants<'r> {
    pub(crate) fn of(raw: &'r RawConfig, env: &Environment) -> Self {
        let mut wants = Self::default();
        wants.account(raw.daemon.control_group.as_ref(), false);
        for socket in raw.daemon.control_socket.iter().chain(&raw.daemon.credential_socket) {
            wants.folders.extend(socket.value.parent());
            wants.outputs.insert(&socket.value);
        }
        wants.outputs.extend(raw.daemon.state_dir.as_ref().map(|folder| &*folder.value));
        wants.file(&raw.defaults.file);
        wants.outputs.reserve(raw.tokens.len());
        let (mut folder, mut file) = (None, None);
        for token in &raw.tokens {
            wants.token(token, env, (&mut folder, &mut file));
        }
        wants
    }

    /// `last`: the folder and the credential's file before, which are those of the next token most of the time.
    fn token(
        &mut self,
        token: &'r RawToken,
        env: &Environment,
        (last_folder, last_file): (&mut Option<&'r Path>, &mut Option<PathBuf>),
    ) {
        let is_same = |last: Option<&Path>, path: &Path| last.is_some_and(|last| last.as_os_str() == path.as_os_str());
        self.file(&token.file);
        for credential in &token.credentials {
            if let Some(file) = credential.file(env).filter(|file| !is_same(last_file.as_deref(), file)) {
                self.files.insert(file.clone().into_owned());
                *last_file = Some(file.into_owned());
            }
        }
        self.commands.extend(token.credentials.iter().filter_map(|credential| credential.command()));
        if let RawSource::Command(command) = &token.source {
            self.programs.extend(command.argv.iter().filter_map(|argv| argv.value.first()).map(String::as_str));
        }
        for output in &token.outputs {
            self.file(&output.file);
            self.outputs.insert(&output.path.value);
            if let Some(folder) = output.path.value.parent().filter(|folder| !is_same(*last_folder, folder)) {
                self.folders.insert(folder);
                *last_folder = Some(folder);
            }
            if let Some(file) = output.format.template().filter(|file| !self.files.contains(&file.value)) {
                self.files.insert(file.value.clone());
            }
        }
        let hooks = token.after_rotate.iter().chain(&token.on_failure);
        self.programs.extend(hooks.filter_map(|hook| hook.plan.program()));
    }

    fn file(&mut self, file: &'r RawFile) {
        self.account(file.owner.as_ref(), true);
        self.account(file.group.as_ref(), false);
    }

    fn account(&mut self, account: Option<&'r Located<UserOrGroup>>, user: bool) {
        if let Some(Located { value: UserOrGroup::Name(name), .. }) = account {
            let names = if user { &mut self.users } else { &mut self.groups };
            names.insert(name);
        }
    }
}

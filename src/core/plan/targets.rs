//! Owns: outputs gathered by the file they end up in: what may share one, what stands in its way.
//! Does not: write.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use smallvec::SmallVec;

use super::lacks::Ledger;
use super::spec::Spec;
use crate::core::config::{RawConfig, RawOutput, RawToken};
use crate::core::diagnostic::{Diagnostic, Located, Severity, Span};
use crate::core::facts::{Facts, FileId, FolderFact, FolderProblem, Standing};
use crate::core::render::{Fault, Template};
use crate::core::settings::{Format, JwtSettings, Lack, LinePlan, SourcePlan, TargetPath, TargetPlan, TokenPlan};

pub(super) fn plan_all(
    raw: &RawConfig,
    tokens: &[Arc<TokenPlan>],
    facts: &Facts,
    ledger: &mut Ledger,
) -> Vec<Arc<TargetPlan>> {
    let mut targets = Targets {
        facts,
        folder: None,
        inputs: inputs(facts),
        templates: HashMap::new(),
        by_name: HashMap::with_capacity(raw.tokens.len()),
        made: Vec::new(),
        folders: BTreeMap::new(),
    };
    // In the same order; those with a mistake in their text have no plan.
    let mut plans = tokens.iter().peekable();
    for token in &raw.tokens {
        let plan = plans.next_if(|plan| plan.name == token.name.value).map(|plan| &**plan);
        for output in &token.outputs {
            let spec = Spec::of([&output.file, &token.file, &raw.defaults.file], facts);
            targets.add((token, plan), output, spec, ledger);
        }
    }
    targets.folders.iter().for_each(|(folder, closed)| closed.tell(folder, ledger));
    let mut plans = Vec::with_capacity(targets.made.len());
    plans.extend(targets.made.into_iter().map(|target| Arc::new(target.plan)));
    plans
}

/// Files that are read: an output must not replace one.
pub(super) fn inputs(facts: &Facts) -> HashMap<FileId, &Path> {
    let read = facts.files.iter().filter_map(|(path, file)| Some((file.id?, path.as_path())));
    let config = facts.config_files.iter().map(|file| (file.id, file.path.as_path()));
    let mut inputs = HashMap::new();
    for (id, path) in read.chain(config) {
        // Of several names of one file the first by the alphabet: what is told stays the same over readings.
        inputs.entry(id).and_modify(|known: &mut &Path| *known = path.min(known)).or_insert(path);
    }
    inputs
}

/// A token, with its plan where it has one.
type PlannedFile<'t> = (&'t RawToken, Option<&'t TokenPlan>);

/// What it is made from where it is signed here.
fn signed(plan: Option<&TokenPlan>) -> Option<&JwtSettings> {
    match &plan?.source {
        SourcePlan::Jwt(settings) => Some(settings),
        _ => None,
    }
}

struct PlannedTarget<'r> {
    plan: TargetPlan,
    first: &'r RawOutput,
    spec: Spec<'r>,
    variables: HashMap<&'r str, Span>,
}

/// What makes two outputs one file: one folder, whatever ways lead to it, and one name in it.
#[derive(PartialEq, Eq, Hash)]
enum FileName<'r> {
    Known(FileId, &'r OsStr),
    /// The folder cannot be opened: its path has to do.
    Path(TargetPath),
}

struct Targets<'r> {
    facts: &'r Facts,
    /// That of the output before: often it is the same.
    folder: Option<(&'r Path, Option<&'r FolderFact>)>,
    inputs: HashMap<FileId, &'r Path>,
    templates: HashMap<&'r Path, Result<Template, Fault>>,
    by_name: HashMap<FileName<'r>, usize>,
    /// Each in memory of its own, as the tokens are that were read.
    #[expect(clippy::vec_box, reason = "the memory that is freed is what it is for")]
    made: Vec<Box<PlannedTarget<'r>>>,
    folders: BTreeMap<&'r Path, Closed<'r>>,
}

/// A folder in which nothing can be written: it is told once, however many outputs are in it.
struct Closed<'r> {
    first: &'r Located<PathBuf>,
    outputs: usize,
    problem: &'r FolderProblem,
}

impl Closed<'_> {
    /// Without a word that another number of outputs would change: it is known again by its message.
    fn message(folder: &Path, problem: &FolderProblem) -> String {
        format!("cannot write to the folder `{}`: it {}", folder.display(), problem.what)
    }

    fn tell(&self, folder: &Path, ledger: &mut Ledger) {
        let label = match self.outputs - 1 {
            0 => String::new(),
            1 => "and 1 more file is to be there".into(),
            more => format!("and {more} more files are to be there"),
        };
        let message = Self::message(folder, self.problem);
        ledger.lack_with(self.first.span, message, &label, self.problem.help, Severity::Lack);
    }
}

impl<'r> Targets<'r> {
    fn add(&mut self, planned: PlannedFile<'_>, output: &'r RawOutput, spec: Spec<'r>, ledger: &mut Ledger) {
        let folder = self.folder(&output.path.value);
        let path = TargetPath::from(resolve(&output.path.value, folder));
        let (format, lack) = self.format(planned, output, ledger);
        let token = planned.1.map_or(&planned.0.name.value, |plan| &plan.name).clone();
        let line = LinePlan { token, format };
        let name = match (folder.and_then(|folder| folder.id), output.path.value.file_name()) {
            (Some(id), Some(name)) => FileName::Known(id, name),
            _ => FileName::Path(path.clone()),
        };
        if let Some(target) = self.by_name.get(&name).and_then(|index| self.made.get_mut(*index)) {
            target.share(output, &path, line, &spec, ledger);
            return;
        }
        let lack = self.look(output, folder, &spec, ledger).or(lack);
        let shown = if *path == *output.path.value { path.clone() } else { output.path.value.clone().into() };
        let mut target = Box::new(PlannedTarget {
            plan: TargetPlan {
                path,
                shown,
                spec: spec.spec,
                lines: SmallVec::from([Arc::new(line)]),
                lack: lack.map(Box::new),
            },
            first: output,
            spec,
            variables: HashMap::new(),
        });
        target.add_variables(output, ledger);
        self.by_name.insert(name, self.made.len());
        self.made.push(target);
    }

    fn folder(&mut self, path: &'r Path) -> Option<&'r FolderFact> {
        let folder = path.parent()?;
        if let Some((_, fact)) = self.folder.filter(|(last, _)| last.as_os_str() == folder.as_os_str()) {
            return fact;
        }
        let fact = self.facts.folders.get(folder);
        self.folder = Some((folder, fact));
        fact
    }

    /// What is wrong with its folder; it is told with that of the others there.
    fn look_at_folder(&mut self, output: &'r Located<PathBuf>, fact: Option<&'r FolderFact>) -> Option<Lack> {
        let problem = fact?.problem.as_ref()?;
        let folder = output.value.parent()?;
        self.folders.entry(folder).or_insert(Closed { first: output, outputs: 0, problem }).outputs += 1;
        let (path, at) = (output.value.display(), folder.display());
        let message = format!("cannot write `{path}`: the folder `{at}` {}", problem.what).into();
        Some(Lack { message, told: Closed::message(folder, problem).into() })
    }

    /// What stands in the way of this file; the first thing is kept with the target.
    fn look(
        &mut self,
        output: &'r RawOutput,
        folder: Option<&'r FolderFact>,
        spec: &Spec<'_>,
        ledger: &mut Ledger,
    ) -> Option<Lack> {
        let path = &output.path.value;
        let span = output.path.span;
        let shown = path.display();
        let mut first = self.look_at_folder(&output.path, folder);
        let standing = self.facts.outputs.get(path);
        let mut lack = |span: Span, problem: String, help: &str| {
            let lack = ledger.lack(span, format!("cannot write `{shown}`: {problem}"), help, Severity::Lack);
            first.get_or_insert(lack);
        };
        match standing {
            Some(Standing::Link) => lack(
                span,
                "it is a symlink".into(),
                "renewd never follows or replaces a symlink: remove it, or name the file it leads to",
            ),
            Some(Standing::Folder) => lack(span, "it is a folder".into(), "name a file, or remove the folder"),
            Some(Standing::Other) => lack(span, "it is not a regular file".into(), "name another file"),
            _ => {}
        }
        for (span, problem) in &spec.unknown {
            lack(*span, problem.clone(), spec.help);
        }
        if let Some((span, problem, help)) = self.facts.myself.as_ref().and_then(|myself| spec.denied(myself)) {
            lack(span, problem, &help);
        }
        if let Some(Standing::File(id)) = standing
            && let Some(input) = self.inputs.get(id)
        {
            let title = format!("this output would replace `{}`, which the config reads", input.display());
            ledger.error(span, title, "write the token to another file");
        }
        first
    }

    fn format(
        &mut self,
        planned: PlannedFile<'_>,
        output: &'r RawOutput,
        ledger: &mut Ledger,
    ) -> (Format, Option<Lack>) {
        let (text, lack) = match output.format.template() {
            Some(file) => self.template(planned, &output.path.value, file, ledger),
            None => (None, None),
        };
        (output.format.ready(text), lack)
    }

    /// A template, and what stands in the way of writing that token by it: each thing is told, and the first kept.
    fn template(
        &mut self,
        (token, plan): PlannedFile<'_>,
        output: &Path,
        file: &'r Located<PathBuf>,
        ledger: &mut Ledger,
    ) -> (Option<Arc<str>>, Option<Lack>) {
        let facts = self.facts;
        let read = self.templates.entry(&file.value).or_insert_with(|| template(&file.value, facts));
        let (text, faults) = match read {
            Ok(template) => (Some(Arc::clone(&template.text)), template.faults(&token.name.value, signed(plan))),
            Err(fault) => (None, vec![fault.clone()]),
        };
        let mut first = None;
        for Fault { what, help } in faults {
            let message =
                format!("cannot write `{}`: the template `{}` {what}", output.display(), file.value.display());
            let lack = ledger.lack(file.span, message, &help, Severity::Lack);
            first.get_or_insert(lack);
        }
        (text, first)
    }
}

/// The folder with its links resolved, and the file's name.
fn resolve(path: &Path, folder: Option<&FolderFact>) -> PathBuf {
    match (folder, path.file_name()) {
        (Some(folder), Some(name)) => folder.resolved.join(name),
        _ => path.to_path_buf(),
    }
}

fn template(path: &Path, facts: &Facts) -> Result<Template, Fault> {
    let unread = |what: &str| Fault { what: what.into(), help: "put a template there that minijinja reads".into() };
    let content = match facts.files.get(path).map(|file| &file.content) {
        Some(Ok(content)) => content,
        Some(Err(problem)) => return Err(unread(problem)),
        None => return Err(unread("was not looked at")),
    };
    Template::read(std::str::from_utf8(content.expose()).map_err(|_| unread("is not UTF-8"))?)
}

impl<'r> PlannedTarget<'r> {
    /// A second output with the same file: they share it where their format is one that may be, else they clash.
    fn share(
        &mut self,
        output: &'r RawOutput,
        path: &TargetPath,
        line: LinePlan,
        spec: &Spec<'r>,
        ledger: &mut Ledger,
    ) {
        let kind = line.format.kind();
        if !kind.is_shared() || self.plan.lines.iter().any(|other| other.format.kind() != kind) {
            let way = match path {
                _ if output.path.value == self.first.path.value => "",
                path if *path == self.plan.path => " (through a linked folder)",
                _ => " (its folder is mounted in two places)",
            };
            ledger.push(
                Diagnostic::error(format!("two outputs write `{}`{way}", self.plan.path.display()))
                    .at(output.path.span)
                    .note(self.first.path.span, "the other output")
                    .help("give each its own file; only outputs of format \"env\" share one"),
            );
            return;
        }
        if let Some((key, span)) = spec.differs(&self.spec) {
            ledger.push(
                Diagnostic::error(format!("two outputs write `{}` with a different `{key}`", self.plan.path.display()))
                    .at(span.unwrap_or(output.header))
                    .note(self.first.header, "the other output")
                    .help(format!("give both the same {key}, or set it in [defaults]")),
            );
        }
        self.add_variables(output, ledger);
        self.plan.lines.push(Arc::new(line));
    }

    fn add_variables(&mut self, output: &'r RawOutput, ledger: &mut Ledger) {
        for name in output.format.variables() {
            if let Some(first) = self.variables.get(name.value.as_str()) {
                ledger.push(
                    Diagnostic::error(format!(
                        "the variable `{}` stands twice in `{}`",
                        name.value,
                        self.plan.path.display()
                    ))
                    .at(name.span)
                    .note(*first, "first here")
                    .help("give each its own name"),
                );
            } else {
                self.variables.insert(&name.value, name.span);
            }
        }
    }
}

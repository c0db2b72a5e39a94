//! What people are told of a config that is wrong: the whole of what `check` prints, for each mistake we know of.
//! A promise here is the text itself: file, line, column, caret and remedy. And that no secret is in it.

#[path = "config_errors/made_from.rs"]
mod fingerprint;
#[path = "config_errors/sources.rs"]
mod sources;
#[path = "config_errors/table.rs"]
mod table;

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use renewd::core::environment::Environment;
use renewd::host::load::{Loaded, load};
use tempfile::TempDir;

/// 32 bytes: enough for HS256.
const SECRET: &str = "07c6e2t1rb92987fnrd705jkk8582p9e";

/// A P-256 key, made for this test.
const P256: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgehMXJLI/JEzCHJPb\n\
XwUO5qfMjv3uY4pokh+SE6tEovehRANCAASdw3BjFqtnKQNrVOUKYxRCCfOmlB7Y\n\
0Dbm+Av/X/M7Yi05PHZm1Gskijnn46322eNVIezQ/bHoHmEnvwv5vYdo\n\
-----END PRIVATE KEY-----\n";

/// A folder with a good secret, a good key, a template and a folder for outputs.
struct Home {
    folder: TempDir,
    path: PathBuf,
    variables: Vec<(OsString, OsString)>,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        fs::create_dir(path.join("out")).unwrap();
        let home = Self {
            folder,
            path,
            variables: vec![("RUNTIME_DIRECTORY".into(), "/run/renewd".into()), ("HOME".into(), "/nowhere".into())],
        };
        home.file("good.secret", SECRET);
        home.file("weak.secret", "hunter2");
        home.file("key.pem", P256);
        home.file("broken.tmpl", "a\n{{ token");
        home.file("vain.tmpl", "{{ tokn }}\n{{ token | uper }}{{ claims.role }}\n");
        home.file("text.tmpl", "{{ token.x }}\n");
        home.file("empty.secret", "\n");
        home
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path.join(name);
        fs::write(&path, content).unwrap();
        self.mode(name, 0o600);
        path
    }

    fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path.join(name), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.into(), value.into()));
    }

    fn environment(&self) -> Environment {
        Environment::new(self.variables.clone(), self.path.clone(), None)
    }

    fn load(&self) -> Loaded {
        load(&self.path.join("config.toml"), &self.environment())
    }

    /// What `check` prints and its exit code, with this folder's name taken out.
    fn check(&self) -> String {
        let mut renewd = Command::new(support::binary());
        renewd.arg("check").arg("-c").arg(self.path.join("config.toml")).current_dir(&self.path);
        let ran = renewd.env_clear().envs(self.variables.iter().cloned()).output().unwrap();
        let (err, out) = (String::from_utf8(ran.stderr).unwrap(), String::from_utf8(ran.stdout).unwrap());
        self.anonymous(format!("{err}{out}exit {}\n", ran.status.code().unwrap()))
    }

    fn anonymous(&self, text: String) -> String {
        text.replace(self.folder.path().to_str().unwrap(), "DIR").replace(self.path.to_str().unwrap(), "DIR")
    }
}

/// What `check` says of a config.
fn said(config: impl AsRef<[u8]>) -> String {
    let home = Home::new();
    home.file("config.toml", config);
    home.check()
}

/// A good token, with some lines of its own.
fn token(lines: &str) -> String {
    format!(
        "[token.sunbird]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nkey = \"k\"\nsecret.file = \"good.secret\"\n{lines}"
    )
}

/// A good token with one output.
fn output(lines: &str) -> String {
    token(&format!("[[token.sunbird.output]]\n{lines}"))
}

macro_rules! told {
    ($($name:ident: $config:expr;)*) => {
        $(
            #[test]
            fn $name() {
                insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots/config_errors", omit_expression => true }, {
                    insta::assert_snapshot!(stringify!($name), said($config));
                });
            }
        )*
    };
}

macro_rules! snapshot {
    ($name:expr, $text:expr) => {
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots/config_errors", omit_expression => true }, {
            insta::assert_snapshot!($name, $text);
        });
    };
}

told! {
    fine: output("format = \"token\"\npath = \"out/a\"\n");
    empty_file: "";
    comments_only: "# [token.a]\n\n  # nothing\n";
    daemon_only_is_fine: "[daemon]\n";
    broken_header_hides_the_secret: format!("[broken {SECRET}\n");
    broken_string_hides_the_secret: token("").replace("secret.file = \"good.secret\"", &format!("secret.value = \"{SECRET}"));
    broken_value_without_quotes: token("").replace("secret.file = \"good.secret\"", "secret.value = hunter2");
    broken_at_three_lines: "[daemon]\nstate_dir = \nready_timeout \"1m\"\n[token.a\n";
    mode_with_a_leading_zero: output("format = \"token\"\npath = \"out/a\"\nmode = 0640\n");
    mode_with_a_leading_zero_in_a_table: token("output = [{ format = \"token\", path = \"out/a\", mode = 0600 }]\n");
    mode_as_ls_shows_it: output("format = \"token\"\npath = \"out/a\"\nmode = \"rw-r-----\"\n");
    mode_in_decimal: output("format = \"token\"\npath = \"out/a\"\nmode = 640\n[[token.sunbird.output]]\nformat = \"json\"\npath = \"out/b\"\nmode = 420\n");
    truth_in_other_words: token("required = 1\nallow_weak_secret = \"maybe\"\n");
    fraction_in_quotes: token("rotate_at = \"67%\"\njitter = \"0.1\"\n");
    duration_as_float: token("lifetime = 3600.0\nskew = 1_0\nrotate_every = -1\n");
    duration_without_quotes: token("lifetime = 1h\n");
    list_as_a_string: token("units = \"job.service\"\nafter_rotate.command = \"systemctl reload job.service\"\non_failure.command = \"page 07c6e2t1rb92987fnrd705jkk8582p9e\"\n");
    keys_run_together: token("secret_file = \"good.secret\"\nretry_max = \"1m\"\n\"private_key.file\" = \"x\"\nafter_rotate_command = [\"true\"]\n");
    outputs_for_output: token("[[token.sunbird.outputs]]\nformat = \"token\"\npath = \"out/a\"\n");
    tokens_for_token: token("").replace("[token.", "[tokens.");
    token_without_a_name: token("").replace("[token.sunbird]", "[token]");
    output_without_a_name: token("[[token.output]]\nformat = \"token\"\npath = \"out/a\"\n");
    token_as_a_list: token("").replace("[token.sunbird]", "[[token]]\nname = \"sunbird\"");
    named_token_as_a_list: token("").replace("[token.sunbird]", "[[token.sunbird]]");
    name_with_a_dot: token("").replace("[token.sunbird]", "[token.sunbird.example]");
    output_with_single_brackets: output("format = \"token\"\npath = \"out/a\"\n").replace("[[token.sunbird.output]]", "[token.sunbird.output]");
    table_twice: format!("{}{}", token(""), token(""));
    key_twice: token("lifetime = \"1h\"\nlifetime = \"2h\"\n");
    unknown_key: token("lifetme = \"1h\"\n");
    unknown_key_of_another_table: token("control_group = \"ops\"\n");
    unknown_key_like_no_other: token("zzz = 1\n");
    unknown_table: "[demon]\nstate_dir = \"/x\"\n";
    not_built_yet: format!("[daemon]\nmetrics_listen = \"127.0.0.1:9464\"\ncredential_socket = \"/run/x\"\n{}", token(""));
    source_unknown: token("").replace("\"jwt\"", "\"jwtt\"");
    required_keys_absent: "[token.a]\n[[token.a.output]]\n";
    required_keys_absent_in_an_inline_table: "token.a = { source = \"jwt\", output = [{ path = \"x\" }] }\n";
    names: "[token.\"a b\"]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nsecret.file = \"good.secret\"\n[token.-a]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nsecret.file = \"good.secret\"\n";
    wrong_types: token("required = \"yes\"\nlifetime = true\nclaims = 3\nunits = \"job.service\"\noutput = { format = \"token\" }\nretry = \"1s\"\n");
    duration_as_integer: token("lifetime = 90\n");
    duration_without_unit: token("lifetime = \"90\"\n");
    duration_garbage: token("lifetime = \"soon\"\nskew = \"-1s\"\n");
    lifetime_below_a_second: token("lifetime = \"500ms\"\n");
    lifetime_of_parts_of_a_second: token("lifetime = \"1s 1ms\"\n");
    never_without_rotate_every: token("lifetime = \"never\"\n");
    no_exp_without_rotate_every: token("claims.exp = false\n");
    never_with_exp: token("lifetime = \"never\"\nrotate_every = \"1d\"\nclaims.exp = true\n");
    rotate_at_0_and_1: "[defaults]\nrotate_at = 0\n[token.a]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nsecret.file = \"good.secret\"\nrotate_at = 1\n";
    rotate_two_ways: token("rotate_at = 0.5\nrotate_every = \"10m\"\n");
    rotate_before_the_whole_life: token("lifetime = \"10m\"\nrotate_before = \"10m\"\n");
    rotate_every_longer_than_the_default_life: token("rotate_every = \"2h\"\n");
    defaults_against_a_token: format!("[defaults]\nrotate_before = \"10m\"\nmin_interval = \"20m\"\n{}", token("lifetime = \"5m\"\n"));
    jitter_of_one: token("jitter = 1.0\n");
    retry_upside_down: token("retry = { initial = \"1m\", max = \"1s\" }\n");
    retry_of_zero: token("retry.initial = \"0s\"\n");
    min_interval_holds_back: token("lifetime = \"30m\"\nrotate_at = 0.5\nmin_interval = \"20m\"\n");
    min_interval_holds_back_by_the_built_in_rule: token("lifetime = \"29m\"\nmin_interval = \"20m\"\n");
    min_interval_longer_than_rotate_every: token("lifetime = \"never\"\nrotate_every = \"10m\"\nmin_interval = \"20m\"\n");
    min_interval_is_over_when_it_is_due: token("lifetime = \"50m\"\nmin_interval = \"20m\"\nrotate_before = \"30m\"\n");
    retry_longer_than_the_life: token("lifetime = \"10m\"\nretry.max = \"10m\"\n");
    skew_of_nothing: token("skew = \"30s\"\nclaims = { iat = false }\n");
    claims_json_does_not_have: token("claims = { at = 2020-01-01, f = nan, g = [1, { h = -inf }], big = 99999999999999999999 }\n");
    claims_that_are_switches: token("claims = { iat = 1, exp = \"1h\", nbf = \"now\", jti = \"x\" }\n");
    key_beside_iss: token("claims.iss = \"me\"\n");
    key_beside_kid: token("key_claim = \"kid\"\nheader.kid = \"me\"\n");
    alg_in_the_header: token("header = { alg = \"none\", typ = \"JWT\" }\n");
    algorithm_unknown: token("").replace("HS256", "hs256");
    secret_with_rs256: token("").replace("HS256", "RS256");
    private_key_with_hs256: token("").replace("secret.file", "private_key.file");
    secret_and_private_key: token("private_key.file = \"good.secret\"\n");
    secret_in_two_places: token("secret.env = \"X\"\n");
    secret_nowhere: token("").replace("secret.file = \"good.secret\"", "secret.encoding = \"hex\"");
    secret_as_a_string: token("").replace("secret.file = \"good.secret\"", "secret = \"hunter2hunter2\"");
    secret_where_its_variable_belongs: token("").replace("secret.file = \"good.secret\"", "secret.env = \"hunter2 = hunter2\"");
    secret_weak: token("").replace("good", "weak");
    secret_weak_inline: token("").replace("secret.file = \"good.secret\"", "secret = { value = \"hunter2\" }");
    secret_weak_but_allowed: token("allow_weak_secret = true\n").replace("good", "weak");
    secret_empty: token("allow_weak_secret = true\n").replace("good", "empty");
    secret_missing: token("").replace("good", "gone");
    secret_is_a_folder: token("").replace("good.secret", "out");
    secret_with_a_nul: token("").replace("secret.file = \"good.secret\"", "secret.value = \"07c6e2t1rb92987fnrd705jkk8\\u0000p9e\"");
    secret_that_is_a_key: token("allow_weak_secret = true\n").replace("good.secret", "key.pem");
    secret_inline_that_is_a_key: token("").replace("secret.file = \"good.secret\"", "secret.value = '{\"kty\":\"RSA\",\"n\":\"AQAB\"}'");
    secret_not_in_its_encoding: token("secret.encoding = \"base64\"\n").replace("good.secret", "weak.secret");
    secret_in_a_variable_outside_the_unit: token("").replace("secret.file = \"good.secret\"", "secret.env = \"SUNBIRD_SECRET\"");
    secret_in_a_credential_outside_the_unit: token("").replace("secret.file = \"good.secret\"", "secret.credential = \"sunbird\"");
    template_is_none: output("format = \"template\"\npath = \"out/a\"\ntemplate = \"broken.tmpl\"\n");
    template_asks_in_vain: output("format = \"template\"\npath = \"out/a\"\ntemplate = \"vain.tmpl\"\n");
    template_cannot_be_filled_in: output("format = \"template\"\npath = \"out/a\"\ntemplate = \"text.tmpl\"\n");
    path_variable_unset: token("").replace("good.secret", "$STATE_DIRECTORY/x");
    path_variable_unknown: token("").replace("good.secret", "$HOME/x");
    path_of_another_home: token("").replace("good.secret", "~root/x");
    output_folder_missing: output("format = \"token\"\npath = \"gone/a\"\n");
    output_is_a_folder: output("format = \"token\"\npath = \"out\"\n");
    output_names_a_folder: output("format = \"token\"\npath = \"out/\"\n");
    output_replaces_the_secret: output("format = \"token\"\npath = \"good.secret\"\n");
    output_mode_as_integer: output("format = \"token\"\npath = \"out/a\"\nmode = 0o640\n");
    output_mode_wrong: output("format = \"token\"\npath = \"out/a\"\nmode = \"u=rw\"\n");
    output_mode_too_large: output("format = \"token\"\npath = \"out/a\"\nmode = \"10000\"\n");
    output_mode_for_anybody: output("format = \"token\"\npath = \"out/a\"\nmode = \"0666\"\n");
    output_user_unknown: output("format = \"token\"\npath = \"out/a\"\nowner = \"nobody-of-that-name\"\ngroup = \"none-of-that-name\"\n");
    output_owner_wrong: output("format = \"token\"\npath = \"out/a\"\nowner = -1\ngroup = 1.5\n");
    output_format_unknown: output("format = \"yaml\"\npath = \"out/a\"\n");
    output_keys_of_another_format: output("format = \"token\"\npath = \"out/a\"\nvariable = \"A\"\ntemplate = \"x\"\n");
    output_variable_sh_refuses: output("format = \"env\"\npath = \"out/a\"\nvariable = \"1A\"\nexpires_variable = \"A-B\"\n");
    output_variable_absent: output("format = \"env\"\npath = \"out/a\"\n");
    output_template_missing: output("format = \"template\"\npath = \"out/a\"\ntemplate = \"gone.tmpl\"\n");
    output_twice: output("format = \"token\"\npath = \"out/a\"\n[[token.sunbird.output]]\nformat = \"json\"\npath = \"./out//a\"\n");
    env_variable_twice: output("format = \"env\"\npath = \"out/a\"\nvariable = \"A\"\n[[token.sunbird.output]]\nformat = \"env\"\npath = \"out/a\"\nvariable = \"B\"\nexpires_variable = \"A\"\n");
    env_outputs_that_differ: output("format = \"env\"\npath = \"out/a\"\nvariable = \"A\"\nmode = \"0640\"\n[[token.sunbird.output]]\nformat = \"env\"\npath = \"out/a\"\nvariable = \"B\"\n");
    hook_does_nothing: token("after_rotate = { timeout = \"1s\" }\n");
    hook_does_two_things: token("[token.sunbird.after_rotate]\ncommand = [\"true\"]\nsignal = { pid_file = \"x\", signal = \"HUP\" }\n");
    hook_command_wrong: token("after_rotate.command = []\non_failure.command = \"true\"\n");
    hook_command_missing: token("after_rotate.command = [\"no-such-program\"]\non_failure.command = [\"./gone\"]\n");
    hook_command_not_executable: token("after_rotate.command = [\"./good.secret\"]\n");
    hook_signal_wrong: token("after_rotate.signal = { pid_file = \"x\", signal = \"SIGKILL\" }\n");
    hook_after_at_the_wrong_hook: token("after_rotate = { command = [\"true\"], after = \"1m\" }\n");
    units_wrong: token("units = [\"\", \"a/b\", \"[\"]\n");
    include_matches_nothing: format!("include = [\"config.d/*.toml\"]\n{}", token(""));
    include_wrong: format!("include = [\"config.d/***.toml\", 3]\n{}", token(""));
    control_socket_too_long: format!("[daemon]\ncontrol_socket = \"/{}\"\n", "x".repeat(120));
    control_socket_folder_missing: "[daemon]\ncontrol_socket = \"gone/c.sock\"\ncontrol_group = \"none-of-that-name\"\n";
    invalid_utf8: b"[token.a]\nsecret.value = \"hunter2\xff\"\n";
    ten_megabytes: "x".repeat(10_000_000);
    brackets: format!("a = {}", "[".repeat(5000));
    braces: format!("a = {}", "{a=".repeat(5000));
    dots: format!("a{} = 1", ".a".repeat(5000));
    control_characters: "[token.a]\n\"\\u001b[31mred\" = 1\n";
}

#[test]
fn too_large() {
    let home = Home::new();
    let file = fs::File::create(home.path.join("config.toml")).unwrap();
    file.set_len(33 * 1024 * 1024).unwrap();
    home.mode("config.toml", 0o600);
    snapshot!("too_large", home.check());
}

#[test]
fn no_such_file() {
    snapshot!("no_such_file", Home::new().check());
}

#[test]
fn a_folder_for_a_config() {
    let home = Home::new();
    fs::create_dir(home.path.join("config.toml")).unwrap();
    snapshot!("a_folder_for_a_config", home.check());
}

#[test]
fn output_is_a_symlink() {
    let home = Home::new();
    symlink("elsewhere", home.path.join("out/a")).unwrap();
    home.file("config.toml", output("format = \"token\"\npath = \"out/a\"\n"));
    snapshot!("output_is_a_symlink", home.check());
}

#[test]
fn output_twice_through_a_linked_folder() {
    let home = Home::new();
    symlink("out", home.path.join("link")).unwrap();
    let other = token("[[token.other.output]]\nformat = \"token\"\npath = \"link/a\"\n")
        .replace("token.sunbird", "token.other");
    home.file("config.toml", output("format = \"token\"\npath = \"out/a\"\n") + &other);
    snapshot!("output_twice_through_a_linked_folder", home.check());
}

#[test]
fn a_name_in_two_files() {
    let home = Home::new();
    fs::create_dir(home.path.join("config.d")).unwrap();
    home.file("config.toml", format!("include = [\"config.d/*.toml\"]\n{}", token("")));
    home.file("config.d/a.toml", token("").replace("good.secret", "../good.secret"));
    snapshot!("a_name_in_two_files", home.check());
}

#[test]
fn included_files_hold_tokens_only_and_something() {
    let home = Home::new();
    fs::create_dir(home.path.join("config.d")).unwrap();
    home.file("config.toml", "include = [\"config.d/*.toml\"]\n");
    home.file("config.d/a.toml", "[daemon]\nstate_dir = \"/x\"\n[defaults]\n");
    home.file("config.d/b.toml", "# cut off\n");
    home.file("config.d/c.toml", "[token.a\n");
    snapshot!("included_files_hold_tokens_only_and_something", home.check());
}

#[test]
fn modes_of_config_and_secret_files() {
    let home = Home::new();
    home.file("open.secret", SECRET);
    home.file("config.toml", token("") + &token("").replace("token.sunbird", "token.other").replace("good", "open"));
    home.mode("config.toml", 0o664);
    home.mode("good.secret", 0o664);
    home.mode("open.secret", 0o602);
    snapshot!("modes_of_config_and_secret_files", home.check());
    home.file(
        "config.toml",
        token("").replace("secret.file = \"good.secret\"", &format!("secret.value = \"{SECRET}\"")),
    );
    home.mode("config.toml", 0o644);
    snapshot!("mode_of_a_config_with_a_secret", home.check());
    // Where it is meant so, nothing is said; that others may write it is told all the same.
    home.mode("open.secret", 0o644);
    let value = format!("secret = {{ value = \"{SECRET}\", allow_readable = true }}");
    let file = "secret = { file = \"open.secret\", allow_readable = true }";
    let with = |secret: &str| token("").replace("secret.file = \"good.secret\"", secret);
    home.file("config.toml", with(&value) + &with(file).replace("token.sunbird", "token.other"));
    home.mode("config.toml", 0o644);
    assert_eq!(home.check(), "ok: 2 tokens, 0 outputs\nexit 0\n");
    home.mode("open.secret", 0o664);
    assert!(home.check().contains("its group may write"));
    home.file("config.toml", with(&value.replace(", allow_readable = true", "")));
    home.mode("config.toml", 0o646);
    snapshot!("mode_of_a_config_anybody_may_write", home.check());
}

#[test]
fn inside_the_unit_an_absent_credential_is_an_error() {
    let mut home = Home::new();
    home.set("INVOCATION_ID", "0");
    home.set("CREDENTIALS_DIRECTORY", "/nowhere/credentials");
    home.file("config.toml", token("").replace("secret.file = \"good.secret\"", "secret.credential = \"sunbird\""));
    snapshot!("inside_the_unit_an_absent_credential_is_an_error", home.check());
}

#[test]
fn no_place_for_state_or_socket() {
    let mut home = Home::new();
    home.variables.clear();
    home.file("config.toml", token(""));
    // By the library: a process has the home of its account besides.
    let loaded = home.load();
    assert!(loaded.plan.is_none());
    snapshot!("no_place_for_state_or_socket", home.anonymous(loaded.report.render(false)));
}

#[test]
fn a_secret_before_the_mark_does_not_move_the_column() {
    let config = token("")
        .replace("secret.file = \"good.secret\"", &format!("secret = {{ value = \"{SECRET}\", encoding = \"hexx\" }}"));
    let text = said(config);
    assert!(text.contains("config.toml:5:67"), "{text}");
    snapshot!("a_secret_before_the_mark_does_not_move_the_column", text);
}

#[test]
fn one_line_names_file_line_and_problem_and_no_source() {
    let home = Home::new();
    home.file("config.toml", format!("[broken {SECRET}\n"));
    let line = home.load().report.one_line().unwrap();
    assert_eq!(line, format!("{}/config.toml:1: not TOML: unclosed table", home.path.display()));
    home.file("config.toml", token("lifetme = \"1h\"\nzzz = 1\n"));
    let line = home.load().report.one_line().unwrap();
    assert_eq!(line, format!("{}/config.toml:6: unknown key `lifetme` (and 1 more)", home.path.display()));
}

/// Every place a secret may be mistyped into: none shows it.
#[test]
fn no_secret_is_ever_shown() {
    let secrets = [SECRET, "hunter2 with spaces", "p"];
    let shapes = [
        "secret.value = \"{}\"",
        "secret.value = \"{}",
        "secret.value = '{}'\nzzz = 1",
        "secret.value = {}",
        "secret = \"{}\"",
        "secret = { value = \"{}\", x = 1 }",
        "secret = { vaule = \"{}\" }",
        "secret = [\"{}\"]",
        "secrte.value = \"{}\"",
        "secret.value = \"\"\"{}\n{}\n\"\"\"\nsecret.encoding = \"hexx\"",
        "secret.value = \"\"\"\n{}\n",
        "secret.env = \"{} =\"",
        "secret.credential = \"{}/\"",
        "private_key.value = \"{}\"",
        "client_secret.value = \"{}\"",
        "client_secret = \"{}\"",
        "password = \"{}\"",
        "[token.sunbird.secret]\nvalue = \"{}\"\nx = 1",
        "secret.value: \"{}\"",
        "secret.value \"{}\"",
        "refresh_token.value = \"{}\"\n[oops",
        "secret.value = \"{}\" secret.encoding = 3",
        "secret.encoding = \"hex\"\nsecret.value = \"{}\"",
    ];
    for secret in secrets {
        for shape in shapes {
            let home = Home::new();
            let line = shape.replace("{}", secret);
            home.file("config.toml", token("").replace("secret.file = \"good.secret\"", &line));
            let loaded = home.load();
            let text = loaded.report.render(false) + &loaded.report.render(true) + &format!("{loaded:?}");
            let lines: String = loaded.report.lines().map(|(_, line)| line).collect();
            if secret.len() > 1 {
                assert!(!text.contains(secret) && !lines.contains(secret), "{line}\n{text}");
            } else {
                assert!(!text.contains("\"p\"") && !text.contains("= p\n"), "{line}\n{text}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_loader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let home = Home::new();
        home.file("config.toml", bytes);
        let loaded = home.load();
        let _ = (loaded.report.render(true), loaded.report.one_line());
    }

    #[test]
    fn no_text_makes_the_loader_panic(lines in prop::collection::vec(line(), 0..30)) {
        let home = Home::new();
        home.file("config.toml", lines.join("\n"));
        let loaded = home.load();
        prop_assert_eq!(loaded.plan.is_none(), loaded.report.has_text_errors());
        let _ = (loaded.report.render(true), loaded.report.one_line());
    }
}

/// Lines that are nearly right.
fn line() -> impl Strategy<Value = String> {
    let key = prop::sample::select(vec![
        "include",
        "control_socket",
        "state_dir",
        "lifetime",
        "skew",
        "rotate_at",
        "rotate_before",
        "rotate_every",
        "jitter",
        "min_interval",
        "retry",
        "mode",
        "owner",
        "group",
        "source",
        "algorithm",
        "key",
        "key_claim",
        "secret.file",
        "secret.value",
        "secret.encoding",
        "secret",
        "private_key.value",
        "claims",
        "header",
        "claims.exp",
        "header.kid",
        "required",
        "units",
        "format",
        "path",
        "variable",
        "template",
        "after_rotate.command",
        "on_failure",
        "command",
        "signal",
        "pid_file",
        "after",
        "timeout",
        "token_url",
        "issuer",
        "grant",
        "client_auth",
        "client_secret.value",
        "client_cert.value",
        "client_key.file",
        "assertion",
        "subject_token",
        "params",
        "scope",
        "preset",
        "service_account.value",
        "tenant",
        "url",
        "method",
        "headers",
        "bearer.token",
        "form",
        "json",
        "response",
        "refresh_token.value",
        "app_id",
        "installation_id",
        "repository",
        "permissions",
        "env",
        "ttl",
        "é",
        "\"\"",
        "a.b.c",
    ]);
    let value = prop::sample::select(vec![
        "\"jwt\"",
        "\"oauth2\"",
        "\"http\"",
        "\"github-app\"",
        "\"command\"",
        "\"jwt_bearer\"",
        "\"token_exchange\"",
        "\"private_key_jwt\"",
        "\"google-service-account\"",
        "\"entra\"",
        "\"https://idp.example/{{ secret }}\"",
        "\"http://[\"",
        "{ token = \"/a\", file = \"a\", type = \"x\" }",
        "{ a = \"{{ token.b }}\", b = [\"{{\"] }",
        "\"HS256\"",
        "\"ES256\"",
        "\"1h\"",
        "\"never\"",
        "\"0s\"",
        "0.5",
        "1",
        "-1",
        "1e400",
        "nan",
        "true",
        "2020-01-01",
        "[]",
        "{}",
        "[\"a\"]",
        "[[1]]",
        "\"0640\"",
        "\"07777\"",
        "0o7",
        "\"root\"",
        "\"env\"",
        "\"token\"",
        "\"template\"",
        "\"out/a\"",
        "\"good.secret\"",
        "\"~\"",
        "\"$X\"",
        "\"\"",
        "\"é\\u0000\"",
        "{ a = 1, b = [2] }",
        "{ command = [\"true\"] }",
        "\"\"\"\nx\n\"\"\"",
        "\"",
        "[",
        "{",
        "99999999999999999999",
        "\"𝄞\"",
    ]);
    let header = prop::sample::select(vec![
        "[daemon]",
        "[defaults]",
        "[token.a]",
        "[token.b]",
        "[token.\"é\"]",
        "[[token.a.output]]",
        "[[token.b.output]]",
        "[token.a.secret]",
        "[token.a.claims]",
        "[token.a.after_rotate]",
        "[token]",
        "[[token]]",
        "[",
        "]",
        "# x",
    ]);
    prop_oneof![
        4 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        2 => header.prop_map(str::to_string),
        1 => "\\PC{0,20}",
    ]
}

/// Nothing of a good config is lost or reordered on its way.
#[test]
fn a_good_config_becomes_its_plan() {
    let mut home = Home::new();
    home.set("PATH", "/usr/bin:/bin");
    home.file("t.tmpl", "{{ token }}\n");
    home.file(
        "config.toml",
        format!(
            "include = [\"more/*.toml\"]\n[daemon]\nstate_dir = \"~/state\"\nready_timeout = \"5s\"\n[defaults]\nmode = \"0640\"\nrotate_before = \"10m\"\n{}",
            token(
                "lifetime = \"30m\"\nskew = \"30s\"\nrotate_at = 0.5\nretry.max = \"2m\"\nclaims = { z = 1, aud = [\"a\"], nbf = true }\nunits = [\"job*.service\"]\n\
                 [[token.sunbird.output]]\nformat = \"env\"\npath = \"out/env\"\nvariable = \"A\"\n\
                 [[token.sunbird.output]]\nformat = \"template\"\npath = \"out/t\"\ntemplate = \"t.tmpl\"\nmode = \"0600\"\nowner = 0\n\
                 [token.sunbird.after_rotate]\ncommand = [\"true\"]\n[token.sunbird.on_failure]\nsignal = { pid_file = \"x.pid\", signal = \"SIGUSR1\" }\n"
            )
        ),
    );
    fs::create_dir(home.path.join("more")).unwrap();
    home.file(
        "more/b.toml",
        token("[[token.a.output]]\nformat = \"env\"\npath = \"../out/env\"\nvariable = \"B\"\n")
            .replace("token.sunbird", "token.a")
            .replace("good.secret", "../good.secret"),
    );
    let loaded = home.load();
    assert!(loaded.report.is_empty(), "{}", loaded.report.render(false));
    let plan = loaded.plan.unwrap();
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots/config_errors", omit_expression => true }, {
        let text = format!("{plan:#?}").replace(home.path.to_str().unwrap(), "DIR");
        insta::assert_snapshot!("a_good_config_becomes_its_plan", text);
    });
}

/// A lack leaves the plan, with the lack at the token or output concerned alone.
#[test]
fn a_lack_leaves_the_rest() {
    let home = Home::new();
    let good = token(
        "[[token.sunbird.output]]\nformat = \"token\"\npath = \"out/a\"\n[[token.sunbird.output]]\nformat = \"json\"\npath = \"gone/a\"\n",
    );
    let bad = token("").replace("token.sunbird", "token.bad").replace("good.secret", "gone.secret");
    home.file("config.toml", good + &bad);
    let loaded = home.load();
    assert!(loaded.report.has_errors());
    let plan = loaded.plan.unwrap();
    let lacks: Vec<_> = plan.tokens.iter().map(|token| token.lack.is_some()).collect();
    assert_eq!(lacks, [false, true]);
    let lacks: Vec<_> = plan.targets.iter().map(|target| target.lack.is_some()).collect();
    assert_eq!(lacks, [false, true]);
    assert_eq!(plan.lacks.len(), 2);
    assert!(plan.watched_files.contains(&home.path.join("gone.secret")));
}

/// A broken config still tells where its daemon is, and what to watch.
#[test]
fn a_broken_config_is_not_lost() {
    let mut home = Home::new();
    let run = home.path.join("run");
    home.set("RUNTIME_DIRECTORY", run.to_str().unwrap());
    home.file("config.toml", "[daemon]\ncontrol_socket = \"c.sock\"\n[token.a\n");
    let config = home.path.join("config.toml");
    let no_daemon_at = |socket: &str, config: &Path| {
        let mut reload = Command::new(support::binary());
        reload.arg("reload").arg("-c").arg(config).env_clear().envs(home.variables.iter().cloned());
        let said = String::from_utf8(reload.output().unwrap().stderr).unwrap();
        assert!(said.contains(&format!("no daemon listens at {}:", home.path.join(socket).display())), "{said}");
    };
    no_daemon_at("c.sock", &config);
    no_daemon_at("run/control.sock", Path::new("/nowhere/config.toml"));
    let loaded = home.load();
    assert!(loaded.plan.is_none());
    assert!(loaded.watched_files().contains(&config));
}

/// The config of the contract, as far as it is built, is a good one.
#[test]
fn the_documented_config_is_taken() {
    let mut home = Home::new();
    home.set("PATH", "/usr/bin:/bin");
    fs::create_dir(home.path.join("config.d")).unwrap();
    home.file("config.d/a.toml", token("").replace("token.sunbird", "token.other").replace("good", "../good"));
    home.file(
        "config.toml",
        r#"
include = ["config.d/*.toml"]
[daemon]
control_socket = "out/control.sock"
control_group = "root"
state_dir = "/var/lib/renewd"
ready_timeout = "1m"
credential_timeout = "10s"
[defaults]
lifetime = "1h"
rotate_at = 0.67
jitter = 0.05
min_interval = "1s"
retry = { initial = "1s", max = "1m", rejected = "15m" }
[token.sunbird]
source = "jwt"
algorithm = "HS256"
key = "398e54e888da42f8d089"
secret.file = "good.secret"
secret.encoding = "utf8"
lifetime = "1h"
skew = "30s"
claims = { aud = "api", sub = "" }
header = { kid = "k1", typ = "JWT" }
required = true
units = ["job.service"]
[[token.sunbird.output]]
format = "token"
path = "out/sunbird.token"
mode = "0640"
owner = "root"
group = "root"
[[token.sunbird.output]]
format = "env"
path = "out/jobs.env"
variable = "SUNBIRD_TOKEN"
expires_variable = "SUNBIRD_TOKEN_EXPIRES_AT"
[token.sunbird.after_rotate]
command = ["true", "job.service"]
timeout = "10s"
[token.sunbird.on_failure]
command = ["true", "token"]
after = "2m"
"#,
    );
    assert_eq!(home.check(), "ok: 2 tokens, 2 outputs\nexit 0\n");
}

/// Ten thousand mistakes, or one in a very large file, are told in the time a person waits.
#[test]
fn many_mistakes_take_no_time_to_speak_of() {
    let home = Home::new();
    home.file("config.toml", "x\n".repeat(60_000));
    let lines = home.load().report.lines().count();
    assert_eq!(lines, 10);
    let shared: String = (0..10_000)
        .map(|i| {
            token(&format!("[[token.t{i}.output]]\nformat = \"env\"\npath = \"gone/env\"\nvariable = \"V{}\"\n", i / 2))
                .replace("token.sunbird", &format!("token.t{i}"))
                .replace("good", "gone")
        })
        .collect();
    home.file("config.toml", shared);
    let begun = std::time::Instant::now();
    let report = home.load().report;
    // 10,000 secrets, one folder, 5,000 variables.
    assert_eq!(report.lines().count(), 15_001);
    // Quadratic work would take minutes here.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

/// A key for another algorithm, and bytes that are no key.
#[test]
fn keys_that_do_not_fit() {
    let home = Home::new();
    home.file("key.pem", P256);
    let said = |algorithm: &str, file: &str| {
        let config = token("")
            .replace("HS256", algorithm)
            .replace("secret.file = \"good.secret\"", &format!("private_key.file = \"{file}\""));
        home.file("config.toml", config);
        home.check()
    };
    assert_eq!(said("ES256", "key.pem"), "ok: 1 token, 0 outputs\nexit 0\n");
    for algorithm in ["ES384", "RS256", "PS512", "EdDSA"] {
        let text = said(algorithm, "key.pem");
        let told = format!("error: the private key of token `sunbird` does not fit: {algorithm} cannot sign with");
        assert!(text.contains(&told) && text.contains("DIR/config.toml:5:20") && text.ends_with("exit 78\n"), "{text}");
    }
    let text = said("ES256", "good.secret");
    assert!(text.contains("the private key of token `sunbird` is not usable") && text.ends_with("exit 78\n"), "{text}");
    assert!(!text.contains(SECRET));
}

/// Included files come in order of their names, whatever the folder is called, and are watched for.
#[test]
fn includes_are_sorted_and_watched() {
    let home = Home::new();
    let folder = home.path.join("a[b]*");
    fs::create_dir_all(folder.join("d")).unwrap();
    for name in ["2", "10", "1"] {
        let text = token("").replace("sunbird", &format!("t{name}")).replace("good", "../../good");
        home.file(&format!("a[b]*/d/{name}.toml"), text);
    }
    home.file("a[b]*/config.toml", "include = [\"d/*.toml\", \"d/1*.toml\", \"*.toml\"]\n");
    let loaded = load(&folder.join("config.toml"), &home.environment());
    let plan = loaded.plan.as_ref().unwrap_or_else(|| panic!("{}", loaded.report.render(false)));
    let names: Vec<_> = plan.tokens.iter().map(|token| token.name.as_str()).collect();
    assert_eq!(names, ["t1", "t10", "t2"]);
    assert!(loaded.watched_files().contains(&folder.join("d/10.toml")));

    home.file("config.toml", "include = [\"more/*.toml\", \"x*/y/*.toml\"]\n");
    let watched: Vec<_> = home.load().watched_folders().iter().cloned().collect();
    assert_eq!(watched, [home.path.join("more/*.toml"), home.path.join("x*/y/*.toml")]);
}

#[test]
fn the_config_is_found_where_the_contract_says() {
    use renewd::host::load::find_config;
    let mut home = Home::new();
    home.variables.clear();
    let path = home.path.to_str().unwrap().to_string();
    home.set("HOME", &path);
    fs::create_dir_all(home.path.join(".config/renewd")).unwrap();
    let own = home.file(".config/renewd/config.toml", "[daemon]\n");
    assert_eq!(find_config(None, &home.environment()).unwrap(), own);
    home.set("XDG_CONFIG_HOME", "/nowhere");
    let everybodys = Path::new("/etc/renewd/config.toml");
    match find_config(None, &home.environment()) {
        Ok(found) => assert!(found == everybodys && everybodys.exists()),
        Err(none) => assert!(none.to_string().contains("/nowhere/renewd/config.toml and /etc/renewd/config.toml")),
    }
    home.set("RENEWD_CONFIG", "/named");
    assert_eq!(find_config(None, &home.environment()).unwrap(), Path::new("/named"));
    assert_eq!(find_config(Some(Path::new("x")), &home.environment()).unwrap(), Path::new("x"));
}

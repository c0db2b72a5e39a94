//! A source may hand out a token that it keeps: nothing was rotated then, no hook runs, and `rotate` says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use support::http::{Act, Seen, Server, json};
use support::{Sandbox, openssl, until};

const SOURCES: [&str; 4] = ["command", "github-app", "http", "oauth2"];

/// Each kind of source that asks somebody, with a hook that writes down for whom it ran.
fn config(sandbox: &Sandbox, url: &str) {
    let dir = sandbox.dir().display();
    sandbox.script("tell", &format!("echo $RENEWD_TOKEN_NAME >> {dir}/told"));
    sandbox.script("tool", &format!("printf 'of-a-tool-'; cat {dir}/generation"));
    let key = sandbox.path("app.pem");
    openssl(&["genrsa", "-traditional", "-out", key.to_str().unwrap(), "2048"], b"");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("chmod");
    let table = |name: &str, lines: &str| {
        format!(
            "[token.{name}]\nsource = \"{name}\"\n{lines}\nafter_rotate.command = [\"{dir}/tell\"]\n\
             [[token.{name}.output]]\nformat = \"token\"\npath = \"out/{name}\"\n"
        )
    };
    sandbox.config(
        table("command", &format!("command = [\"{dir}/tool\"]\nttl = \"1h\""))
            + &table("http", &format!("url = \"{url}/http\"\nresponse = {{ token = \"/t\", expires_in = \"/e\" }}"))
            + &table(
                "github-app",
                &format!("app_id = \"1\"\nprivate_key.file = \"app.pem\"\ninstallation_id = 7\napi_url = \"{url}\""),
            )
            + &table(
                "oauth2",
                &format!(
                    "token_url = \"{url}/token\"\ngrant = \"client_credentials\"\nclient_id = \"jobs\"\n\
                     client_secret.file = \"secret\""
                ),
            ),
    );
}

fn issued(seen: &Seen, generation: &Path) -> Act {
    let number = fs::read_to_string(generation).expect("a generation");
    match seen.path.as_str() {
        "/token" => json(format!(r#"{{"access_token":"o-{number}","token_type":"Bearer","expires_in":3600}}"#)),
        "/http" => json(format!(r#"{{"t":"h-{number}","e":3600}}"#)),
        _ => json(format!(
            r#"{{"token":"ghs_{number}","expires_at":"2999-01-01T00:00:00Z","permissions":{{}},"repository_selection":"all"}}"#
        )),
    }
}

#[test]
fn the_same_one_again_is_no_rotation_whatever_source_gave_it() {
    let sandbox = Sandbox::new();
    let generation = sandbox.put("generation", "1");
    let server = Server::start(move |seen| issued(seen, &generation));
    config(&sandbox, &server.url(""));
    let daemon = sandbox.start();
    let told = || {
        let text = fs::read_to_string(sandbox.path("told")).unwrap_or_default();
        let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
        names.sort_unstable();
        names
    };
    let times = |times: usize| SOURCES.iter().flat_map(|name| std::iter::repeat_n(*name, times)).collect::<Vec<_>>();
    until("each hook ran", || told() == times(1));

    for _ in 0..3 {
        let ran = sandbox.ours(&["rotate", "--force"]).expect(0);
        for name in SOURCES {
            let line = format!("{name}: the issuer gave the same one again, valid until ");
            assert!(ran.text().contains(&line), "{ran:#?}");
        }
    }
    let last = daemon.token("oauth2")["events"].as_array().and_then(|events| events.last().cloned()).expect("an event");
    assert!(last["what"].as_str().is_some_and(|what| what.starts_with("the issuer gave the same one again")), "{last}");
    assert!(daemon.log().contains("token http is not renewed: the issuer gave the same one again"), "{}", daemon.log());

    // Not after a restart either, whose first rotation brings what the files hold already.
    daemon.stop();
    let daemon = sandbox.start();
    assert!(sandbox.ours(&["rotate", "--force"]).expect(0).text().contains("oauth2: the issuer gave the same one"));
    // Another one at last: the hook runs once for it, and by then it had run for none of those before.
    sandbox.put("generation", "2");
    let ran = sandbox.ours(&["rotate", "--force"]).expect(0);
    assert_eq!(ran.text(), "", "nothing is remarked of new ones");
    until("each ran for the new one", || told().len() >= times(2).len());
    assert_eq!(told(), times(2));
    daemon.stop();
}

#[test]
fn one_that_no_file_held_yet_is_new_though_it_comes_twice() {
    let sandbox = Sandbox::new();
    let generation = sandbox.put("generation", "1");
    let server = Server::start(move |seen| issued(seen, &generation));
    config(&sandbox, &server.url(""));
    let daemon = sandbox.start();
    let told = || fs::read_to_string(sandbox.path("told")).unwrap_or_default().matches("oauth2").count();
    until("the hook ran", || told() == 1);
    sandbox.put("generation", "2");
    fs::remove_file(sandbox.out("oauth2")).expect("rm");
    sandbox.mkdir("out/oauth2");
    sandbox.ours(&["rotate", "--force", "oauth2"]).expect(1);
    sandbox.ours(&["rotate", "--force", "oauth2"]).expect(1);
    assert_eq!(told(), 1, "ran before the new one was there");
    fs::remove_dir(sandbox.out("oauth2")).expect("rmdir");
    sandbox.ours(&["rotate", "--force", "oauth2"]).expect(0);
    until("it ran for what is on disk now", || told() == 2);
    daemon.stop();
}

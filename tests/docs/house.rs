//! The pages for who works on renewd: the picture is what the code says, and what they name is there.

use std::fs;
use std::process::Command;

use support::{program, repository};

#[test]
fn the_picture_of_the_house_is_what_the_code_says() {
    let Some(python) = program("the_picture_of_the_house_is_what_the_code_says", "python3") else { return };
    let ran = Command::new(python).arg(repository().join("docs/house")).arg("--check").output().expect("python starts");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn every_path_that_the_pages_for_developers_name_is_there() {
    let mut missing = Vec::new();
    let mut found = 0;
    for page in ["CONTRIBUTING.md", "docs/src/development/house.md"] {
        let text = fs::read_to_string(repository().join(page)).expect("the page");
        for quoted in text.split('`').skip(1).step_by(2) {
            let path = quoted.split([' ', ':']).next().unwrap_or_default();
            let is_path = ["src/", "tests/", "docs/", "benches/", ".ci/"].iter().any(|top| path.starts_with(top));
            if !is_path || path.contains('<') {
                continue;
            }
            found += 1;
            if !repository().join(path).exists() {
                missing.push(format!("{page}: {path}"));
            }
        }
    }
    assert!(found > 20, "{found}");
    assert!(missing.is_empty(), "{missing:#?}");
}

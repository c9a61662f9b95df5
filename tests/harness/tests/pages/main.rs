//! Tries the pages as a reader would: each command of a page is typed on a stack of `make up`, and must print what the page shows. What must
//! have happened before stands in comments of the page, see `page`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail, in its helper functions too"
)]

mod alike;
mod page;
mod session;

use std::path::Path;

use session::Session;

/// Leaves nothing of a page to the next one.
const CLEAN: &str = "
    cloud DELETE faults
    for name in $(kubectl get pai -o name); do
      kubectl patch \"$name\" --type=merge -p '{\"spec\":{\"deletionPolicy\":\"Retain\"}}' > /dev/null
    done
    kubectl delete pai --all --timeout=60s > /dev/null
    kubectl delete secret team-account --ignore-not-found > /dev/null
    kubectl delete configmap site-setup --ignore-not-found > /dev/null
    for name in pai-read-team-account-secrets pai-read-site-setup-configmaps; do
      kubectl delete role,rolebinding $name --ignore-not-found > /dev/null
    done
    cloud POST reset
";

#[test]
fn the_quick_start() {
    Session::new("quickstart").follow("docs/quickstart.md");
}

/// What takes a quarter of an hour each: `make pages` tries these, too.
const SLOW: [&str; 3] = ["DomainNotBound.md", "DuplicateFound.md", "OutcomeUnknown.md"];

/// One stack for all.
#[test]
fn the_runbooks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks");
    let mut pages: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md" && !SLOW.contains(&name.as_str()))
        .collect();
    pages.sort();
    if let Ok(only) = std::env::var("PAI_PAGE") {
        pages.retain(|page| page.trim_end_matches(".md") == only);
    }
    let session = Session::new("runbooks");
    session.up("");
    for page in pages {
        let text = std::fs::read_to_string(folder.join(&page)).unwrap();
        assert!(text.contains("\nTried by a test: every command here"), "{page} does not say that it is tried here");
        session.follow(&format!("docs/runbooks/{page}"));
        session.cause(CLEAN);
    }
}

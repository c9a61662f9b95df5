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
#[path = "../background/mod.rs"]
mod background;
mod page;
mod session;

use std::path::Path;

use session::Session;

/// The guides that hold commands to be tried, in this order: the first counts revisions of the release, the last takes the CRD away.
const GUIDES: [&str; 10] = [
    "upgrade",
    "leadership",
    "spending",
    "credentials",
    "security",
    "api-action",
    "troubleshooting",
    "gitops",
    "alerts",
    "uninstall",
];

/// Leaves nothing of a page to the next one.
const CLEAN: &str = "
    cloud DELETE faults
    for name in $(kubectl get pai -o name); do
      kubectl patch \"$name\" --type=merge -p '{\"spec\":{\"deletionPolicy\":\"Retain\"}}' > /dev/null
    done
    kubectl delete pai --all --timeout=60s > /dev/null
    if kubectl delete secret team-account 2> /dev/null; then
      sleep 6 # the operator uses credentials for 5 seconds before it reads them again
    fi
    kubectl delete configmap site-setup --ignore-not-found > /dev/null
    for name in pai-read-team-account-secrets pai-read-site-setup-configmaps; do
      kubectl delete role,rolebinding $name --ignore-not-found > /dev/null
    done
    kubectl delete quota pai-machines --ignore-not-found > /dev/null
    kubectl delete events --all > /dev/null # another page may have used the name of this one's object
    cloud POST reset
";

/// Tries pages on one stack, all of them whatever becomes of one.
fn try_pages(session: &Session, pages: impl IntoIterator<Item = String>, between: &str) {
    let mut wrong = Vec::new();
    for (nth, page) in pages.into_iter().enumerate() {
        let clean = if nth > 0 { session.cause(between) } else { Ok(()) };
        let followed = clean.map_err(|why| format!("before {page}: {why}")).and_then(|()| session.follow(&page));
        wrong.extend(followed.err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_guides() {
    let session = Session::new("guides");
    session.up("");
    // Mends the release and the Secret, too.
    try_pages(&session, GUIDES.map(|page| format!("docs/{page}.md")), &format!("{CLEAN}\nmake up"));
}

/// Pages whose commands build and measure; they are no reader's of a cluster.
const OF_DEVELOPERS: [&str; 5] = ["chaos", "faults", "guards", "model-check", "benchmarks"];

#[test]
fn each_page_with_commands_is_tried() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let tried = GUIDES.contains(&name) || OF_DEVELOPERS.contains(&name) || name == "quickstart";
        if path.extension().is_some_and(|end| end == "md") && !tried {
            let steps = page::steps(&std::fs::read_to_string(&path).unwrap());
            assert_eq!(steps, [], "{name} is in no list of pages to be tried");
        }
    }
}

#[test]
fn the_quick_start() {
    try_pages(&Session::new("quickstart"), ["docs/quickstart.md".to_owned()], "true");
}

/// What takes most of half an hour, since the operator waits so long before it asks a person: these were tried by hand.
const SLOW: [&str; 3] = ["DomainNotBound", "DuplicateFound", "OutcomeUnknown"];

/// Tries runbooks on a stack of their own.
fn try_runbooks(name: &str, pages: &[String]) {
    let session = Session::new(name);
    // What is seen at the next sweep need not be waited for five minutes.
    session.up("--sweep-interval=20s");
    let files: Vec<String> = pages.iter().map(|page| format!("docs/runbooks/{page}.md")).collect();
    for page in &files {
        let says = session.read(page).contains("\nTried by a test: ");
        assert!(says, "{page} does not say that it is tried");
    }
    try_pages(&session, files, CLEAN);
}

/// `PAI_PAGE=Stopped,OutOfStock` tries these alone.
#[test]
fn the_runbooks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<String> = files.filter_map(|file| file.strip_suffix(".md").map(str::to_owned)).collect();
    pages.retain(|page| page != "README" && !SLOW.contains(&page.as_str()));
    pages.sort();
    if let Ok(only) = std::env::var("PAI_PAGE") {
        let only: Vec<String> = only.split(',').map(str::to_owned).collect();
        let unknown: Vec<&String> = only.iter().filter(|page| !pages.contains(page)).collect();
        assert!(unknown.is_empty(), "PAI_PAGE names no runbook that is tried: {unknown:?}");
        pages = only;
    }
    try_runbooks("runbooks", &pages);
}

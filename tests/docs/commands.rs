//! Commands, values, flags and annotations that the documents name: each exists. Nothing is run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use clap::CommandFactory;
use pai_operator::cli::Cli;
use serde_json::Value;

use crate::words::{commands, simple, spans, values};
use crate::{documents, read, root};

/// Options of other tools (kubectl, helm, cargo, etcd) that the prose names by themselves.
const OF_OTHERS: &[&str] =
    &["--from-literal", "--locked", "--reset-then-reuse-values", "--reuse-values", "--unsafe-no-fsync", "--wait"];

/// Folders of the repository with which a path in a command begins.
const FOLDERS: &[&str] = &["charts/", "crds/", "deploy/samples", "deploy/argocd", "docs/", "tests/", ".github/"];

static VALUES: LazyLock<Value> =
    LazyLock::new(|| serde_saphyr::from_str(&read(&root().join("charts/pai-operator/values.yaml"))).unwrap());

static FLAGS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let command = Cli::command();
    let options = command.get_subcommands().flat_map(|one| one.get_arguments().cloned().collect::<Vec<_>>());
    options.filter_map(|option| Some(format!("--{}", option.get_long()?))).collect()
});

static TARGETS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let makefile = read(&root().join("Makefile"));
    let rules =
        makefile.lines().filter(|line| !line.starts_with(['\t', '.', '#'])).filter_map(|line| line.split_once(':'));
    let names = rules.filter(|(_, rest)| !rest.starts_with('=')).flat_map(|(names, _)| names.split_whitespace());
    names.map(str::to_owned).collect()
});

/// The names after `pai.tencentcloud.io/` in a text, where the group is not the end of a resource's name.
fn names_of_ours(text: &str) -> impl Iterator<Item = &str> {
    const GROUP: &str = "pai.tencentcloud.io/";
    text.match_indices(GROUP).filter_map(|(at, _)| {
        let before = text.get(..at)?.chars().next_back();
        let rest = text.get(at + GROUP.len()..)?;
        let end = rest.find(|one: char| !one.is_ascii_alphanumeric() && one != '-').unwrap_or(rest.len());
        // A dash at the end is kubectl's way to take an annotation away.
        let name = rest.get(..end)?.trim_end_matches('-');
        (before.is_none_or(|one| !one.is_ascii_alphanumeric() && one != '.') && !name.is_empty()).then_some(name)
    })
}

static OURS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut names = BTreeSet::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                names.extend(names_of_ours(&read(&path)).map(str::to_owned));
            }
        }
    }
    names
});

/// Whether the chart has this value, such as `watch.namespaces`; below an empty map any key may be set.
fn is_value(path: &str) -> bool {
    let mut place = &*VALUES;
    for key in path.split('.') {
        let key = key.split('[').next().unwrap_or_default();
        match place.get(key) {
            Some(below) => place = below,
            None => return place.as_object().is_some_and(serde_json::Map::is_empty),
        }
    }
    true
}

/// The keys of `--set a.b=c,d=e`; a comma between braces is part of a value.
fn keys(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut pairs) = (0, 0, Vec::new());
    for (at, one) in text.char_indices() {
        match one {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                pairs.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    pairs.push(&text[from..]);
    pairs.into_iter().map(|pair| pair.split_once('=').map_or(pair, |(key, _)| key)).collect()
}

fn exists(path: &str) -> bool {
    // Who reads this puts a name of their own in the place of capitals.
    path.chars().any(|one| one.is_ascii_uppercase()) || root().join(path).exists()
}

/// What is wrong with a simple command of the documents.
fn fault_of_command(words: &[String]) -> Option<String> {
    let (program, arguments) = words.split_first()?;
    let mut paths: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder)))
        .collect();
    match program.as_str() {
        "make" => {
            let mut targets = arguments.iter().filter(|word| !word.contains('=') && !word.starts_with('-'));
            return targets.find(|target| !TARGETS.contains(*target)).map(|target| format!("no target {target}"));
        }
        "kubectl" => paths.extend(values(arguments, &["-f", "--filename", "-k", "--kustomize", "--patch-file"])),
        "helm" => {
            paths.extend(values(arguments, &["-f", "--values"]));
            let set = values(arguments, &["--set", "--set-string"]);
            if let Some(key) = set.into_iter().flat_map(keys).find(|key| !is_value(key)) {
                return Some(format!("the chart has no value {key}"));
            }
        }
        "cargo" => {
            let test = values(arguments, &["--test"]).into_iter();
            let places = |name: &str| ["tests", "tests/harness/tests"].map(|folder| format!("{folder}/{name}"));
            let missing = |name: &&str| {
                !places(name).iter().any(|place| exists(&format!("{place}.rs")) || exists(&format!("{place}/main.rs")))
            };
            return test.into_iter().find(missing).map(|name| format!("no test {name}"));
        }
        _ if Path::new(program).file_name().is_some_and(|name| name == "pai-operator") => {
            let mut flags = arguments
                .iter()
                .filter(|word| word.starts_with("--"))
                .map(|word| word.split('=').next().unwrap_or_default());
            return flags.find(|flag| !FLAGS.contains(*flag)).map(|flag| format!("no flag {flag}"));
        }
        _ => {}
    }
    // A file without a folder is the reader's own.
    paths
        .into_iter()
        .find(|path| path.contains('/') && !path.contains("://") && !exists(path))
        .map(|path| format!("no file {path}"))
}

/// What is wrong with a piece of code in the prose.
fn fault_of_span(span: &str) -> Option<String> {
    let word = span.split([' ', '=', ':']).next().unwrap_or_default();
    if word == "--set" {
        return simple(&format!("helm {span}")).iter().find_map(|words| fault_of_command(words));
    }
    if word.starts_with("--") {
        return (!FLAGS.contains(word) && !OF_OTHERS.contains(&word)).then(|| format!("no flag {word}"));
    }
    let is_file =
        Path::new(word).extension().is_some_and(|end| ["md", "rs", "yaml", "json"].iter().any(|known| end == *known));
    let of_the_chart = word.split_once('.').is_some_and(|(first, _)| VALUES.get(first).is_some());
    if of_the_chart && !is_file && !is_value(word.trim_end_matches('.')) {
        return Some(format!("the chart has no value {word}"));
    }
    simple(span)
        .iter()
        .filter(|words| ["make", "helm", "kubectl", "cargo"].contains(&words[0].as_str()))
        .find_map(|words| fault_of_command(words))
}

/// Everything that is wrong with a document.
fn faults_of(text: &str) -> Vec<String> {
    let lines = commands(text);
    let by_command = lines
        .iter()
        .flat_map(|line| simple(line))
        .filter_map(|words| fault_of_command(&words).map(|fault| format!("{words:?}: {fault}")));
    let by_span =
        spans(text).into_iter().filter_map(|span| fault_of_span(span).map(|fault| format!("`{span}`: {fault}")));
    let by_name = names_of_ours(text)
        .filter(|name| !OURS.contains(*name))
        .map(|name| format!("pai.tencentcloud.io/{name} is not in src"));
    by_command.chain(by_span).chain(by_name).collect()
}

#[test]
fn what_the_documents_name_exists() {
    let mut seen = 0;
    let mut wrong: Vec<(PathBuf, Vec<String>)> = Vec::new();
    for document in documents() {
        let text = read(&document);
        seen += commands(&text).len();
        wrong.push((document, faults_of(&text)));
    }
    wrong.retain(|(_, faults)| !faults.is_empty());
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 150, "{seen} commands");
}

#[test]
fn what_does_not_exist_is_found() {
    let block = |line: &str| format!("```sh\n{line}\n```\n");
    let good = [
        block("kubectl apply -f deploy/samples/hourly.yaml -f machine.yaml && make up"),
        block(
            "helm upgrade x charts/pai-operator --set 'watch.namespaces={a,b},podLabels.x=y' --set-string image.tag=1",
        ),
        block("kubectl rollout status deploy/pai-operator"),
        block("SEEDS=0..9 make faults; cargo test --test faults; pai-operator run --settle-window=10m"),
        block("kubectl annotate pai a pai.tencentcloud.io/paused- && kubectl get paiinstance.pai.tencentcloud.io/web"),
        "`--settle-window`, `--set log.level=debug`, `watch.namespaces`, `metrics.md`, `rbac.aggregate.edit: false`"
            .to_owned(),
    ];
    for text in good {
        assert_eq!(faults_of(&text), Vec::<String>::new(), "{text}");
    }
    let bad = [
        block("kubectl apply -f deploy/samples/daily.yaml"),
        block("kubectl patch configmap a --patch-file=deploy/argo/a.yaml"),
        block("sed s/a/b/ deploy/samples/daily.yaml | kubectl apply -f -"),
        block("helm install x charts/operator"),
        block("helm upgrade x charts/pai-operator --set watch.namespace=a"),
        block("helm upgrade x charts/pai-operator --set image.tag=1,image.name=b"),
        block("A=1 make upp"),
        block("cargo test --test fault"),
        block("pai-operator run --settle-windows=10m"),
        block("kubectl annotate pai a pai.tencentcloud.io/pause=true"),
        "```console\n$ make demos\nprinted\n```\n".to_owned(),
        "`--settle-windows`".to_owned(),
        "`--set log.levels=debug`".to_owned(),
        "`watch.namespace`".to_owned(),
        "`make upp`".to_owned(),
        "the annotation pai.tencentcloud.io/resolve".to_owned(),
    ];
    for text in bad {
        assert_eq!(faults_of(&text).len(), 1, "{text}: {:?}", faults_of(&text));
    }
}

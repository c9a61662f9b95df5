//! `make demo`: the main job from installation to deletion, on real parts, with everything shown.
//! Must end in an error if anything did not hold, and must leave nothing running.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::local::{CONFIG_MAPS, SECRETS, quote};
use crate::toolchain::{STACK, path, say};
use crate::{Error, Options, Stack, programs, wait_until};

/// Name of the object in `deploy/samples/demo`.
const OBJECT: &str = "pai-test";

/// The example password of the API page, public for years. It stands in no manifest, as a person
/// would not commit one either.
const PASSWORD: &str = "PAI@Test123";

/// Longest wait for Ready and for the deletion. The stand-in cloud boots in 2 s and the deletion
/// takes two looks 30 s apart; the rest is for slow machines.
const PATIENCE: Duration = Duration::from_mins(3);

/// Runs the demo.
pub fn run() -> Result<(), Error> {
    for tool in STACK {
        path(tool)?;
    }
    let started = Instant::now();
    say("starting etcd, kube-apiserver, the stand-in cloud and the operator (about 20 seconds)");
    let stack = Stack::start(Options {
        secret_names: SECRETS.iter().skip(1).map(|&name| name.into()).collect(),
        config_map_names: CONFIG_MAPS.map(str::to_owned).into(),
        ..Options::default()
    })?;
    say(&format!("all of it runs after {} s", started.elapsed().as_secs()));
    create(&stack)?;
    show(&stack)?;
    let instances = stack.simulator().instances()?;
    if instances.len() != 1 {
        return Err(Error::Other(format!(
            "the cloud has {} instances instead of 1: {}",
            instances.len(),
            json!(instances)
        )));
    }
    say(&format!("the cloud's own view: {}", json!(instances)));
    delete(&stack)?;
    stack.operator().terminate().and_then(|status| {
        if status.success() { Ok(()) } else { Err(Error::Other(format!("the operator ended with {status}"))) }
    })?;
    drop(stack);
    say(&format!("everything held and everything is stopped ({} s)", started.elapsed().as_secs()));
    Ok(())
}

fn create(stack: &Stack) -> Result<(), Error> {
    let password = format!("--from-literal=password={PASSWORD}");
    let secret = ["create", "secret", "generic", "pai-test-login", &password];
    shown(stack, &secret)?;
    let folder = programs::root().join("deploy/samples/demo");
    shown(stack, &["apply", "-f", &folder_text(&folder)])?;
    let timeout = format!("--timeout={}s", PATIENCE.as_secs());
    let object = format!("pai/{OBJECT}");
    let ready = shown(stack, &["wait", "--for=condition=Ready", &object, &timeout]);
    if ready.is_err() {
        let _ = show(stack);
    }
    ready
}

fn show(stack: &Stack) -> Result<(), Error> {
    shown(stack, &["get", "pai", "-o", "wide"])?;
    let conditions = "jsonpath={range .status.conditions[*]}{.type}={.status} {.reason}: \
                      {.message}{\"\\n\"}{end}";
    shown(stack, &["get", "pai", OBJECT, "-o", conditions])?;
    shown(stack, &["events", "--for", &format!("paiinstance/{OBJECT}")])
}

fn delete(stack: &Stack) -> Result<(), Error> {
    let timeout = format!("--timeout={}s", PATIENCE.as_secs());
    shown(stack, &["delete", "pai", OBJECT, &timeout])?;
    shown(stack, &["get", "pai"])?;
    wait_until("the cloud to hold nothing", PATIENCE, || {
        let instances = stack.simulator().instances().map_err(|error| error.to_string())?;
        if instances.is_empty() { Ok(()) } else { Err(json!(instances).to_string()) }
    })?;
    let state = stack.simulator().state()?;
    let history = state.get("history").cloned().unwrap_or(Value::Null);
    say(&format!("the instance is gone from the cloud too: {history}"));
    Ok(())
}

/// Runs kubectl and prints the command and what it said.
fn shown(stack: &Stack, args: &[&str]) -> Result<(), Error> {
    println!("\n$ kubectl {}", args.iter().map(|arg| quoted(arg)).collect::<Vec<_>>().join(" "));
    let output = stack.kubectl(args);
    print!("{}{}", output.stdout, output.stderr);
    output.ok().map(drop)
}

/// An argument as a person types it: in quotes only where a shell wants them.
fn quoted(arg: &str) -> String {
    if arg.contains([' ', '{', '"']) { quote(&arg) } else { arg.to_owned() }
}

/// As a person would type it at the root of the repository.
fn folder_text(folder: &Path) -> String {
    std::env::current_dir()
        .ok()
        .and_then(|here| folder.strip_prefix(here).ok().map(Path::to_owned))
        .unwrap_or_else(|| folder.to_owned())
        .display()
        .to_string()
}

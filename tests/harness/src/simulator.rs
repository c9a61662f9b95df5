//! The stand-in cloud as a process, and its own pages under `/_simulator/`. Needs its binary. Must
//! not know the cloud's API: what it answers is handed on as JSON.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::ports::Port;
use crate::process::{Launch, Lifetime, Process};
use crate::{Error, http, programs, wait_until};

/// Longest wait until it listens. Our choice: it takes some milliseconds on an idle machine.
const LISTENS: Duration = Duration::from_secs(30);

/// A key pair of the cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// `SecretId`.
    pub id: String,
    /// `SecretKey`.
    pub key: String,
    /// Token of temporary credentials.
    pub token: Option<String>,
}

impl Default for Account {
    /// The account of the local cloud: no secret, as that cloud lives on loopback for minutes.
    fn default() -> Self {
        Self { id: "AKIDlocal".into(), key: "local-stack-key".into(), token: None }
    }
}

impl Account {
    /// Reads `ID:KEY[:TOKEN]`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut parts = text.splitn(3, ':').map(str::to_owned);
        match (parts.next(), parts.next(), parts.next()) {
            (Some(id), Some(key), token) if !id.is_empty() && !key.is_empty() => Ok(Self { id, key, token }),
            _ => Err(Error::Other("an account is written ID:KEY[:TOKEN]".into())),
        }
    }

    fn argument(&self) -> String {
        let mut text = format!("--account={}:{}", self.id, self.key);
        if let Some(token) = &self.token {
            text.push(':');
            text.push_str(token);
        }
        text
    }

    /// The Secret that holds it, as the operator expects it.
    pub fn secret(&self, namespace: &str, name: &str) -> Value {
        let mut data = serde_json::json!({"secretId": self.id, "secretKey": self.key});
        if let (Some(token), Some(data)) = (&self.token, data.as_object_mut()) {
            data.insert("token".into(), Value::String(token.clone()));
        }
        serde_json::json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": name, "namespace": namespace},
            "stringData": data,
        })
    }
}

/// Starts the stand-in cloud on a port and waits until it listens.
pub(crate) fn launch(
    port: u16,
    accounts: &[Account],
    extra: &[String],
    log: &Path,
    lifetime: Lifetime,
) -> Result<Process, Error> {
    let mut args = vec![format!("--listen=127.0.0.1:{port}")];
    args.extend(accounts.iter().map(Account::argument));
    args.extend_from_slice(extra);
    let process = Process::start(&Launch {
        name: "tencentcloud-simulator",
        program: &programs::simulator()?,
        args,
        env: None,
        log: log.to_owned(),
        lifetime,
    })?;
    let mut dead = None;
    wait_until("the stand-in cloud to listen", LISTENS, || {
        if let Err(error) = process.check_alive() {
            dead = Some(error);
            return Ok(());
        }
        match http::request(port, "GET", "/_simulator/state", "")?.status {
            200 => Ok(()),
            other => Err(format!("status {other}")),
        }
    })?;
    dead.map_or(Ok(process), Err)
}

/// Makes an account known to a stand-in cloud that runs.
pub(crate) fn add_account(port: u16, account: &Account) -> Result<(), Error> {
    let body = serde_json::json!({"id": account.id, "key": account.key, "token": account.token}).to_string();
    let answer = http::request(port, "POST", "/_simulator/accounts", &body)?;
    match answer.status {
        200 => Ok(()),
        status => Err(Error::Other(format!("the stand-in cloud takes no account: {status} {}", answer.body))),
    }
}

/// A running stand-in cloud; dropping it ends it. Its state lives in memory only.
#[derive(Debug)]
pub struct Simulator {
    port: Port,
    accounts: Vec<Account>,
    args: Vec<String>,
    log: PathBuf,
    process: Mutex<Option<Process>>,
}

impl Simulator {
    pub(crate) fn new(folder: &Path, accounts: Vec<Account>, args: Vec<String>) -> Result<Self, Error> {
        let port = Port::reserve()?;
        let simulator = Self {
            log: folder.join(format!("simulator-{}.log", port.number())),
            port,
            accounts,
            args,
            process: Mutex::new(None),
        };
        simulator.start()?;
        Ok(simulator)
    }

    /// Its address for every service.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port.number())
    }

    /// Ends it at once; its instances are forgotten.
    pub fn stop(&self) {
        drop(self.slot().take());
    }

    /// Starts it again on the same address, empty.
    pub fn start(&self) -> Result<(), Error> {
        let mut slot = self.slot();
        drop(slot.take());
        *slot = Some(launch(self.port.number(), &self.accounts, &self.args, &self.log, Lifetime::WithHarness)?);
        Ok(())
    }

    /// Sends a signal, such as `STOP`: then it accepts connections and never answers.
    pub fn signal(&self, name: &str) -> Result<(), Error> {
        self.slot().as_ref().map_or(Ok(()), |process| process.signal(name))
    }

    /// What exists, what existed, and how many calls there were.
    pub fn state(&self) -> Result<Value, Error> {
        self.page("GET", "state", "")
    }

    /// The instances that still cost money.
    pub fn instances(&self) -> Result<Vec<Value>, Error> {
        Ok(list(&self.state()?, "instances"))
    }

    /// All calls so far, in order.
    pub fn calls(&self) -> Result<Vec<Value>, Error> {
        self.calls_since(0)
    }

    /// The calls after a sequence number.
    pub fn calls_since(&self, seq: u64) -> Result<Vec<Value>, Error> {
        let page = self.page("GET", &format!("calls?since={seq}"), "")?;
        Ok(page.as_array().cloned().unwrap_or_else(|| list(&page, "calls")))
    }

    /// Waits until an action was called at least `count` times; returns these calls.
    ///
    /// The moment to kill something: the call has been received, its answer may be under way.
    pub fn wait_for_calls(&self, action: &str, count: usize, deadline: Duration) -> Result<Vec<Value>, Error> {
        wait_until(&format!("{count} calls of {action}"), deadline, || {
            let mut calls = self.calls().map_err(|error| error.to_string())?;
            calls.retain(|call| call.get("action").and_then(Value::as_str) == Some(action));
            if calls.len() >= count { Ok(calls) } else { Err(format!("{} calls", calls.len())) }
        })
    }

    /// Adds a fault rule, see the stand-in cloud's own documentation for the effects.
    pub fn add_fault(&self, rule: &Value) -> Result<(), Error> {
        self.page("POST", "faults", &rule.to_string()).map(drop)
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) -> Result<(), Error> {
        self.page("DELETE", "faults", "").map(drop)
    }

    /// Changes an instance from outside, as a person at the cloud's console would.
    pub fn change_instance(&self, id: &str, change: &Value) -> Result<(), Error> {
        self.page("POST", &format!("instances/{id}"), &change.to_string()).map(drop)
    }

    /// Terminates an instance from outside.
    pub fn terminate_instance(&self, id: &str) -> Result<(), Error> {
        self.page("DELETE", &format!("instances/{id}"), "").map(drop)
    }

    /// Puts running machines in, in the form of the page's documentation: many at once, without buying them.
    pub fn add_instances(&self, machines: &[Value]) -> Result<(), Error> {
        self.page("POST", "instances", &Value::from(machines).to_string()).map(drop)
    }

    /// One instance in all that the cloud shows of it.
    pub fn instance(&self, id: &str) -> Result<Value, Error> {
        self.page("GET", &format!("instances/{id}"), "")
    }

    /// Back to an empty cloud.
    pub fn reset(&self) -> Result<(), Error> {
        self.page("POST", "reset", "").map(drop)
    }

    /// What it printed.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn page(&self, method: &str, page: &str, body: &str) -> Result<Value, Error> {
        let path = format!("/_simulator/{page}");
        let answer = http::request(self.port.number(), method, &path, body)?;
        if !(200..300).contains(&answer.status) {
            return Err(Error::Other(format!("{method} {path}: status {} {}", answer.status, answer.body)));
        }
        if answer.body.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&answer.body)
            .map_err(|error| Error::Other(format!("{method} {path}: {error}: {}", answer.body)))
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn list(page: &Value, key: &str) -> Vec<Value> {
    page.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_an_id_a_key_and_perhaps_a_token() {
        let account = Account::parse("a:b:c:d").unwrap();
        assert_eq!(account.token.as_deref(), Some("c:d"));
        assert_eq!(account.argument(), "--account=a:b:c:d");
        assert!(Account::parse("a").is_err());
        assert!(Account::parse(":b").is_err());
    }
}

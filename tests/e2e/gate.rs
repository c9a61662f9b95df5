//! A gate between the operator and the service `as` of the stand-in cloud. It holds a create on its way there, or its answer on the
//! way back, until the test opens it: so the operator dies at a point and not within a window of time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

/// Which way of a create is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The request has left the operator and is not at the cloud.
    There,
    /// The cloud has carried it out, and its answer is not at the operator.
    Back,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passage {
    Open,
    Closed(Way),
    /// Every create is lost before it reaches the cloud.
    Lost,
}

struct State {
    cloud: Option<SocketAddr>,
    passage: Passage,
    held: bool,
}

/// A listening gate; its threads end with the test process.
pub struct Gate {
    address: SocketAddr,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl Gate {
    /// An open gate that leads nowhere yet.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State { cloud: None, passage: Passage::Open, held: false };
        let shared = Arc::new((Mutex::new(state), Condvar::new()));
        let of_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&of_thread);
                // A broken connection is what the operator sees too.
                thread::spawn(move || drop(serve(&client, &shared)));
            }
        });
        Self { address, shared }
    }

    /// Its address for the operator.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it leads.
    pub fn lead_to(&self, url: &str) {
        self.shared.0.lock().unwrap().cloud = Some(url.trim_start_matches("http://").parse().unwrap());
    }

    /// Holds the creates that come from now on.
    pub fn close(&self, way: Way) {
        self.set(Passage::Closed(way));
    }

    /// Lets the held create go on, and all that follow.
    pub fn open(&self) {
        self.set(Passage::Open);
    }

    /// Loses the held create, and all that follow.
    pub fn lose(&self) {
        self.set(Passage::Lost);
    }

    /// Whether a create stands at the closed gate.
    pub fn holds(&self) -> Result<(), String> {
        if self.shared.0.lock().unwrap().held { Ok(()) } else { Err("no create at the gate".to_owned()) }
    }

    fn set(&self, passage: Passage) {
        let (state, moved) = &*self.shared;
        let mut state = state.lock().unwrap();
        (state.passage, state.held) = (passage, false);
        moved.notify_all();
    }
}

/// One request and its answer; the connection is then closed, so that each request is seen.
fn serve(mut client: &TcpStream, shared: &(Mutex<State>, Condvar)) -> io::Result<()> {
    let (head, body) = read_request(client)?;
    let create = head.to_ascii_lowercase().contains("\r\nx-tc-action: createpaiinstance\r\n");
    if create && !pass(shared, Way::There) {
        return Ok(());
    }
    let cloud = shared.0.lock().unwrap().cloud.ok_or(io::ErrorKind::NotConnected)?;
    let mut cloud = TcpStream::connect(cloud)?;
    // The signature covers neither this header nor the order of them.
    let head = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    cloud.write_all(&[head.as_bytes(), &body].concat())?;
    let mut answer = Vec::new();
    cloud.read_to_end(&mut answer)?;
    if create && !pass(shared, Way::Back) {
        return Ok(());
    }
    client.write_all(&answer)
}

/// Waits while this way is closed; false if the create is lost.
fn pass(shared: &(Mutex<State>, Condvar), way: Way) -> bool {
    let (state, moved) = shared;
    let mut state = state.lock().unwrap();
    while state.passage == Passage::Closed(way) {
        state.held = true;
        state = moved.wait(state).unwrap();
    }
    state.passage != Passage::Lost
}

fn read_request(client: &TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(client);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let lower = head.to_ascii_lowercase();
    let length = lower.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body)?;
    Ok((head, body))
}

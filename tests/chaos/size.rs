//! How much happens in a run, and from which seed it is drawn.

/// The amounts of one run.
#[derive(Clone, Debug)]
pub struct Size {
    pub objects: usize,
    /// Of each operator.
    pub kills: usize,
    pub apiserver_restarts: usize,
    /// Whether creates are also lost before they bought anything, and searched for until that is known, for more than six minutes.
    pub lost_creates: bool,
    pub seed: u64,
}

impl Size {
    /// A run of one or two minutes, unless `PAI_CHAOS` says `full`.
    pub fn of_environment() -> Self {
        let seed = std::env::var("PAI_CHAOS_SEED").map_or_else(|_| fastrand::u64(..), |text| text.parse().unwrap());
        match std::env::var("PAI_CHAOS").as_deref() {
            Ok("full") => Self { objects: 100, kills: 50, apiserver_restarts: 2, lost_creates: true, seed },
            Ok(other) => panic!("PAI_CHAOS is {other:?}; it can be full"),
            Err(_) => Self { objects: 20, kills: 8, apiserver_restarts: 1, lost_creates: false, seed },
        }
    }
}

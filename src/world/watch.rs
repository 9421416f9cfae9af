//! News of units as it happens: the kernel says when a state file changes or a process ends.
//!
//! One thread sleeps in `epoll` over an inotify instance, a pidfd per process and an eventfd for
//! new orders, so nothing is polled here.  A look every few seconds, elsewhere, only guards
//! against the kernel's word being lost.

use std::collections::BTreeMap;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc as orders};

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fs::inotify;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::mpsc;

use super::unit_dir::UnitDirs;
use crate::base::{Generation, LaunchId, UnitId};
use crate::facts::{Exit, Observation};

/// A unit was seen.
pub type News = (UnitId, Observation);

/// Where news are told.
pub type Teller = mpsc::UnboundedSender<News>;

/// One start of a unit and a process of it: the unit script, or the leader.
#[derive(Debug, Clone)]
pub struct Awaited {
    /// Which unit.
    pub unit: UnitId,
    /// Which start.
    pub generation: Generation,
    /// Which launch.
    pub launch: LaunchId,
    /// The process whose end is told.
    pub pid: u32,
}

enum Order {
    Follow(UnitId),
    Await(Awaited),
}

/// Watches the directories and processes of a run's units.
#[derive(Debug)]
pub struct Watcher {
    dirs: UnitDirs,
    orders: orders::Sender<Order>,
    bell: Arc<OwnedFd>,
}

impl Watcher {
    /// A watcher, and what it will tell; others may tell the same way.
    ///
    /// # Errors
    /// The system gives no inotify, epoll or eventfd instance.
    pub fn new(dirs: UnitDirs) -> io::Result<(Self, Teller, mpsc::UnboundedReceiver<News>)> {
        let (news, receiver) = mpsc::unbounded_channel();
        let (sender, orders) = orders::channel();
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let thread = Thread::new(dirs.clone(), orders, bell.clone(), news.clone())?;
        std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || thread.run())?;
        let watcher = Self {
            dirs,
            orders: sender,
            bell,
        };
        Ok((watcher, news, receiver))
    }

    /// Follows a unit's state file. Its directory must be there.
    pub fn follow(&self, unit: &UnitId) {
        self.order(Order::Follow(unit.clone()));
    }

    /// Tells when a process ends: then the unit is looked at. A start that left no record of
    /// itself is told as ended.
    pub fn await_end(&self, awaited: Awaited) {
        self.order(Order::Await(awaited));
    }

    /// Looks at a unit now.
    pub fn look(&self, unit: &UnitId) -> Observation {
        self.dirs.observe(unit)
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            ring(&self.bell);
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        ring(&self.bell);
    }
}

fn ring(bell: &OwnedFd) {
    // A full counter has rung already.
    let _ = rustix::io::write(bell, &1_u64.to_ne_bytes());
}

/// What wakes the thread: orders, state files, and from here on one process each.
const BELL: u64 = 0;
const STATES: u64 = 1;
const FIRST_PROCESS: u64 = 2;

struct Thread {
    dirs: UnitDirs,
    orders: orders::Receiver<Order>,
    bell: Arc<OwnedFd>,
    news: mpsc::UnboundedSender<News>,
    epoll: OwnedFd,
    inotify: OwnedFd,
    units: BTreeMap<i32, UnitId>,
    awaited: BTreeMap<u64, (OwnedFd, Awaited)>,
    next: u64,
}

impl Thread {
    fn new(
        dirs: UnitDirs,
        orders: orders::Receiver<Order>,
        bell: Arc<OwnedFd>,
        news: mpsc::UnboundedSender<News>,
    ) -> io::Result<Self> {
        let flags = inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC;
        let inotify = inotify::init(flags)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let readable = epoll::EventFlags::IN;
        epoll::add(&epoll, &*bell, epoll::EventData::new_u64(BELL), readable)?;
        epoll::add(
            &epoll,
            &inotify,
            epoll::EventData::new_u64(STATES),
            readable,
        )?;
        Ok(Self {
            dirs,
            orders,
            bell,
            news,
            epoll,
            inotify,
            units: BTreeMap::new(),
            awaited: BTreeMap::new(),
            next: FIRST_PROCESS,
        })
    }

    /// Until the watcher is dropped or nobody listens.
    fn run(mut self) {
        loop {
            let mut events = Vec::with_capacity(64);
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                None,
            ) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return,
            }
            let woken: Vec<u64> = events.iter().map(|event| event.data.u64()).collect();
            let told = woken.into_iter().all(|what| match what {
                BELL => self.take_orders(),
                STATES => self.states_changed(),
                process => self.ended(process),
            });
            if !told {
                return;
            }
        }
    }

    fn tell(&self, unit: UnitId, seen: Observation) -> bool {
        let nothing = matches!(seen, Observation::Never | Observation::Unknown { .. });
        nothing || self.news.send((unit, seen)).is_ok()
    }

    fn take_orders(&mut self) -> bool {
        let _ = rustix::io::read(&*self.bell, &mut [0_u8; 8]);
        loop {
            match self.orders.try_recv() {
                Ok(Order::Follow(unit)) => {
                    let flags = inotify::WatchFlags::MOVED_TO;
                    if let Ok(watch) = inotify::add_watch(&self.inotify, self.dirs.of(&unit), flags)
                    {
                        self.units.insert(watch, unit.clone());
                    }
                    // Whatever happened before the watch stood is seen by one look.
                    let seen = self.dirs.observe(&unit);
                    if !self.tell(unit, seen) {
                        return false;
                    }
                }
                Ok(Order::Await(awaited)) => {
                    if !self.await_end(awaited) {
                        return false;
                    }
                }
                Err(orders::TryRecvError::Empty) => return true,
                Err(orders::TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn await_end(&mut self, awaited: Awaited) -> bool {
        let pid = i32::try_from(awaited.pid).ok().and_then(Pid::from_raw);
        let fd = match pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) {
            Some(Ok(fd)) => Some(fd),
            None | Some(Err(Errno::SRCH)) => None,
            // It cannot be waited for, and may live: the looks every few seconds see its end.
            Some(Err(_)) => return true,
        };
        let key = self.next;
        let added = fd.and_then(|fd| {
            let data = epoll::EventData::new_u64(key);
            epoll::add(&self.epoll, &fd, data, epoll::EventFlags::IN).ok()?;
            Some(fd)
        });
        match added {
            Some(fd) => {
                self.next += 1;
                self.awaited.insert(key, (fd, awaited));
                true
            }
            // It is gone already.
            None => self.tell_end(&awaited),
        }
    }

    fn ended(&mut self, key: u64) -> bool {
        let Some((fd, awaited)) = self.awaited.remove(&key) else {
            return true;
        };
        let _ = epoll::delete(&self.epoll, &fd);
        self.tell_end(&awaited)
    }

    fn tell_end(&self, awaited: &Awaited) -> bool {
        let unit = awaited.unit.clone();
        let seen = match self.dirs.observe(&unit) {
            // The leader is gone and its script is about to record how: the state file will tell.
            Observation::Unknown { .. } => return true,
            seen if seen.launch() == Some(&awaited.launch) => seen,
            _ => Observation::Exited(self.without_record(awaited)),
        };
        self.tell(unit, seen)
    }

    fn without_record(&self, awaited: &Awaited) -> Exit {
        let log = self.dirs.of(&awaited.unit).join("supervisor.log");
        let said = self.dirs.last_line(&awaited.unit, &log);
        // The script begins each line with its time.
        let said = said.and_then(|line| Some(line.split_once(' ')?.1.to_owned()));
        Exit {
            reason: Some(said.unwrap_or_else(|| "the unit script ended without a word".to_owned())),
            ..Exit::of(awaited.generation, awaited.launch.clone())
        }
    }

    fn states_changed(&mut self) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut changed: Vec<UnitId> = Vec::new();
        while let Ok(event) = events.next() {
            let of_state = event.file_name().is_some_and(|name| name == c"state");
            if let (true, Some(unit)) = (of_state, self.units.get(&event.wd()))
                && !changed.contains(unit)
            {
                changed.push(unit.clone());
            }
        }
        changed.into_iter().all(|unit| {
            let seen = self.dirs.observe(&unit);
            self.tell(unit, seen)
        })
    }
}

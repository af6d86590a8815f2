//! Sockets by io_uring: one call per round sends all that waits and brings all that came.
//!
//! Every socket has one receive operation that stays; the kernel fills buffers of a shared pool. Not for kernels before
//! 6.12, and not for those that refuse io_uring; the caller falls back to epoll.

#[expect(unsafe_code, reason = "the kernel writes to memory of ours, which Rust cannot see")]
mod pool;
mod post;

use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::libc;

use self::pool::Pool;
use self::post::Post;
use super::{Arrival, Tied, stamp};

/// The ring, and all memory that the kernel writes to or reads from through it.
#[derive(Debug)]
pub(in super::super) struct RingSockets {
    ring: Ring,
    /// Not freed before the kernel has let go of it: see `drop`.
    memory: ManuallyDrop<Memory>,
    sockets: Vec<Place>,
    /// Datagrams that came, by socket and pool buffer, oldest first.
    arrived: VecDeque<(u32, u16, usize)>,
    /// Sockets whose receive operation ended and must be given again.
    rearm: Vec<u32>,
    bell: i32,
    bell_armed: bool,
    bell_rang: bool,
    failed: u64,
}

struct Ring(IoUring);

#[derive(Debug)]
struct Memory {
    pool: Pool,
    post: Post,
}

#[derive(Debug, Default)]
struct Place {
    socket: Option<Tied>,
    /// True while the kernel has a receive operation for it.
    armed: bool,
    closing: bool,
}

impl RingSockets {
    pub(super) fn new(stamps: bool, sockets_max: usize, bell: BorrowedFd<'_>) -> io::Result<Self> {
        let mut builder = IoUring::builder();
        // One thread does everything, and the kernel's work for it is done when that thread waits.
        builder.setup_single_issuer().setup_defer_taskrun().setup_r_disabled().setup_cqsize(COMPLETIONS_MAX);
        let ring = builder.build(SUBMISSIONS_MAX)?;
        if !ring.params().is_feature_min_timeout() {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "the kernel's io_uring is older than Linux 6.12"));
        }
        let places = u32::try_from(sockets_max).map_err(|_| io::ErrorKind::InvalidInput)?;
        ring.submitter().register_files_sparse(places)?;
        let memory = Memory { pool: Pool::new(stamps)?, post: Post::new() };
        memory.pool.register(&ring.submitter())?;
        Ok(Self {
            ring: Ring(ring),
            memory: ManuallyDrop::new(memory),
            sockets: (0..sockets_max).map(|_| Place::default()).collect(),
            arrived: VecDeque::with_capacity(pool::BUFFERS),
            rearm: Vec::with_capacity(sockets_max),
            bell: bell.as_raw_fd(),
            bell_armed: false,
            bell_rang: false,
            failed: 0,
        })
    }

    pub(super) fn begin(&mut self) -> io::Result<()> {
        self.ring.0.submitter().register_enable_rings()
    }

    pub(super) fn insert(&mut self, number: u32, socket: UdpSocket) -> io::Result<()> {
        let place = self.sockets.get_mut(number as usize).ok_or(io::ErrorKind::InvalidInput)?;
        if place.armed || place.socket.is_some() {
            return Err(io::Error::new(io::ErrorKind::ResourceBusy, "the kernel still holds the last socket here"));
        }
        if self.memory.pool.stamps() {
            stamp::request(&socket)?;
        }
        self.ring.0.submitter().register_files_update(number, &[socket.as_raw_fd()])?;
        *place = Place { socket: Some(Tied::new(socket)?), ..Place::default() };
        self.arm(number);
        Ok(())
    }

    pub(super) fn remove(&mut self, number: u32) {
        let Some(place) = self.sockets.get_mut(number as usize) else { return };
        if place.socket.is_none() {
            return;
        }
        place.closing = true;
        self.end_receiving(number);
        // An empty place cannot be refused.
        let _ = self.ring.0.submitter().register_files_update(number, &[-1]);
        if let Some(place) = self.sockets.get_mut(number as usize) {
            place.socket = None;
            place.closing = false;
        }
        let pool = &mut self.memory.pool;
        self.arrived.retain(|(socket, buffer, _)| {
            let stays = *socket != number;
            if !stays {
                pool.give(*buffer);
            }
            stays
        });
        self.rearm.retain(|waits| *waits != number);
    }

    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<bool> {
        for index in 0..self.rearm.len() {
            self.arm(self.rearm[index]);
        }
        self.rearm.clear();
        if !self.bell_armed {
            self.arm_bell();
        }
        self.memory.pool.publish();
        // What came while a socket was closed has been taken from the kernel already: it would not wake us again.
        let waiting = self.bell_rang || !self.arrived.is_empty();
        self.enter(if waiting { Some(Duration::ZERO) } else { timeout })?;
        Ok(std::mem::take(&mut self.bell_rang))
    }

    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Option<Arrival> {
        while let Some((socket, number, filled)) = self.arrived.pop_front() {
            let datagram = self.memory.pool.read(number, filled, buffer);
            self.memory.pool.give(number);
            if let Some((from, bytes, stamp)) = datagram {
                return Some(Arrival { socket, from, bytes, stamp });
            }
        }
        None
    }

    pub(super) fn send(&mut self, number: u32, bytes: &[u8], to: SocketAddr) -> bool {
        let Some(Place { socket: Some(tied), .. }) = self.sockets.get(number as usize) else {
            return false;
        };
        let to = tied.written(to);
        if self.memory.post.is_full() && self.submit().is_err() {
            return false;
        }
        let Some(entry) = self.memory.post.letter(Fixed(number), bytes, to) else {
            return false;
        };
        let sent = self.push(&entry.user_data(token(SEND, number)));
        if sent && self.memory.post.waiting() >= SENDS_AT_ONCE {
            return self.submit().is_ok();
        }
        sent
    }

    pub(super) fn tied(&mut self, number: u32) -> Option<&mut Tied> {
        self.sockets.get_mut(number as usize)?.socket.as_mut()
    }

    pub(super) fn failed_since(&mut self) -> u64 {
        std::mem::take(&mut self.failed)
    }

    fn arm(&mut self, number: u32) {
        let Some(place) = self.sockets.get(number as usize) else { return };
        if place.armed || place.closing || place.socket.is_none() {
            return;
        }
        let entry = self.memory.pool.receive(Fixed(number)).user_data(token(RECEIVE, number));
        self.sockets[number as usize].armed = self.push(&entry);
    }

    fn arm_bell(&mut self) {
        let poll = opcode::PollAdd::new(Fd(self.bell), libc::POLLIN as u32).multi(true).build();
        self.bell_armed = self.push(&poll.user_data(token(BELL, 0)));
    }

    /// Ends a socket's receive operation and waits for its last word.
    fn end_receiving(&mut self, number: u32) {
        if !self.sockets[number as usize].armed {
            return;
        }
        let cancel = CancelBuilder::user_data(token(RECEIVE, number));
        let entry = opcode::AsyncCancel2::new(cancel).build().flags(squeue::Flags::SKIP_SUCCESS);
        if !self.push(&entry.user_data(token(CANCEL, number))) {
            return;
        }
        for _ in 0..CANCEL_ROUNDS_MAX {
            if !self.sockets[number as usize].armed || self.enter(Some(CANCEL_ROUND)).is_err() {
                return;
            }
        }
        tracing::error!(number, "the kernel does not let go of a socket");
    }

    /// Puts an operation in the queue, making room when there is none.
    #[expect(unsafe_code, reason = "the kernel works with memory of ours, which Rust cannot see")]
    fn push(&mut self, entry: &squeue::Entry) -> bool {
        if self.ring.0.submission().is_full() && self.submit().is_err() {
            return false;
        }
        // SAFETY: what the entries of this module point to lies in `memory`, which outlives the ring's operations: sends
        // are done when they have been submitted (see `Post`), receives when `armed` is false (see `drop`).
        unsafe { self.ring.0.submission().push(entry) }.is_ok()
    }

    /// Hands the queue to the kernel without waiting.
    fn submit(&mut self) -> io::Result<()> {
        pass(self.ring.0.submit())?;
        self.sweep();
        Ok(())
    }

    /// Hands the queue to the kernel, waits until something comes or the time is over, and looks at what came.
    fn enter(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let span = timeout.map(Timespec::from);
        let args = match &span {
            Some(span) => SubmitArgs::new().timespec(span),
            None => SubmitArgs::new(),
        };
        pass(self.ring.0.submitter().submit_with_args(1, &args))?;
        self.sweep();
        self.reap();
        Ok(())
    }

    /// Frees the places of what was sent.
    fn sweep(&mut self) {
        if self.ring.0.submission().is_empty() {
            self.memory.post.clear();
        }
    }

    fn reap(&mut self) {
        let Self { ring, memory, sockets, arrived, rearm, .. } = self;
        for entry in ring.0.completion() {
            let number = entry.user_data() as u32;
            match entry.user_data() >> 32 {
                RECEIVE => {
                    if let Some(buffer) = cqueue::buffer_select(entry.flags()) {
                        memory.pool.taken(buffer);
                        match usize::try_from(entry.result()) {
                            Ok(filled) => arrived.push_back((number, buffer, filled)),
                            Err(_) => memory.pool.give(buffer),
                        }
                    }
                    if !cqueue::more(entry.flags()) {
                        sockets[number as usize].armed = false;
                        rearm.push(number);
                    }
                }
                BELL => {
                    self.bell_rang = true;
                    self.bell_armed = cqueue::more(entry.flags());
                }
                SEND => self.failed += 1,
                // A cancel that found nothing: the receive operation had just ended by itself.
                _ => {}
            }
        }
    }
}

impl Drop for RingSockets {
    #[expect(unsafe_code, reason = "the memory may only be freed when the kernel has let go of it")]
    fn drop(&mut self) {
        for number in 0..self.sockets.len() as u32 {
            self.remove(number);
        }
        // A send that was never submitted will never be; a receive that is still armed may write at any time.
        if self.sockets.iter().all(|place| !place.armed) {
            // SAFETY: it is not used again, and no operation of the kernel refers to it any more.
            unsafe { ManuallyDrop::drop(&mut self.memory) };
        }
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").finish_non_exhaustive()
    }
}

/// What an operation is for, in the upper half of its user data; its socket's number is in the lower.
const RECEIVE: u64 = 1;
const SEND: u64 = 2;
const BELL: u64 = 3;
const CANCEL: u64 = 4;

fn token(kind: u64, number: u32) -> u64 {
    kind << 32 | u64::from(number)
}

/// Lets pass what is no failure: the time is over, a signal came, completions wait to be taken.
fn pass(entered: io::Result<usize>) -> io::Result<()> {
    match entered.map_err(|error| (error.raw_os_error(), error)) {
        Ok(_) | Err((Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN), _)) => Ok(()),
        Err((_, error)) => Err(error),
    }
}

/// Operations that wait for the next call at most.
const SUBMISSIONS_MAX: u32 = 512;

/// Completions that the kernel can leave; more are kept by the kernel.
const COMPLETIONS_MAX: u32 = 4_096;

/// So many datagrams leave before the rest of the round is looked at, so that the first does not wait for the last.
const SENDS_AT_ONCE: usize = 16;

/// How often and how long the end of a receive operation is waited for.
const CANCEL_ROUNDS_MAX: usize = 100;
const CANCEL_ROUND: Duration = Duration::from_millis(1);

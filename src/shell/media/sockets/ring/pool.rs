//! The buffers into which the kernel writes datagrams that come.
//!
//! A buffer is the kernel's from `give` to `taken`, and ours from then on.

use std::cell::UnsafeCell;
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fixed, RecvMsgOut};
use io_uring::{Submitter, opcode, squeue};
use nix::libc;

use super::super::stamp;

pub(super) struct Pool {
    /// The list of buffers that are the kernel's; it is shared with the kernel.
    list: Box<[UnsafeCell<Page>]>,
    bytes: Box<[UnsafeCell<Page>]>,
    /// How each datagram is to be laid out.
    layout: Box<Layout>,
    ours: Vec<bool>,
    tail: u16,
}

#[repr(align(4096))]
struct Page {
    _bytes: [u8; PAGE],
}

#[repr(transparent)]
struct Layout(libc::msghdr);

// SAFETY: all its pointers are null.
unsafe impl Send for Layout {}

impl Pool {
    pub(super) fn new(stamps: bool) -> io::Result<Self> {
        let pages = |count| (0..count).map(|_| UnsafeCell::new(Page { _bytes: [0; PAGE] })).collect();
        // SAFETY: a message header of zeros is one without any buffers.
        let mut layout: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
        layout.msg_namelen = NAME_BYTES as libc::socklen_t;
        layout.msg_controllen = if stamps { stamp::CONTROL_BYTES } else { 0 };
        let mut pool = Self {
            list: pages((BUFFERS * size_of::<BufRingEntry>()).div_ceil(PAGE)),
            bytes: pages(BUFFERS * BUFFER_BYTES / PAGE),
            layout: Box::new(Layout(layout)),
            ours: vec![true; BUFFERS],
            tail: 0,
        };
        (0..BUFFERS as u16).for_each(|number| pool.give(number));
        pool.publish();
        Ok(pool)
    }

    pub(super) fn register(&self, submitter: &Submitter<'_>) -> io::Result<()> {
        // SAFETY: the list is page-aligned and holds that many entries; the ring's owner keeps it until the ring's
        // operations have ended.
        unsafe { submitter.register_buf_ring_with_flags(self.entries() as u64, BUFFERS as u16, GROUP, 0) }
    }

    /// Whether the kernel is to say when datagrams come.
    pub(super) fn stamps(&self) -> bool {
        self.layout.0.msg_controllen > 0
    }

    /// An operation that receives from a socket until it is ended.
    pub(super) fn receive(&self, socket: Fixed) -> squeue::Entry {
        opcode::RecvMsgMulti::new(socket, &raw const self.layout.0, GROUP).build()
    }

    /// Notes that the kernel has filled a buffer.
    pub(super) fn taken(&mut self, number: u16) {
        self.ours[usize::from(number)] = true;
    }

    /// Gives a buffer to the kernel, with the next `publish`.
    pub(super) fn give(&mut self, number: u16) {
        assert!(std::mem::replace(&mut self.ours[usize::from(number)], false), "a buffer is given once");
        let index = usize::from(self.tail) % BUFFERS;
        // SAFETY: the entry lies within the list; the kernel does not read it before the tail has passed it. Only the
        // fields are written: the first entry's last field is the tail.
        let entry = unsafe { &mut *self.entries().add(index) };
        entry.set_addr(self.start(number) as u64);
        entry.set_len(BUFFER_BYTES as u32);
        entry.set_bid(number);
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what was given.
    pub(super) fn publish(&self) {
        // SAFETY: the tail lies in the first entry, is aligned, and is only read by the kernel.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Copies the datagram in a buffer that is ours; tells who sent it, how much of `to` it fills, and when it came, if
    /// the kernel says so.
    pub(super) fn read(
        &self,
        number: u16,
        filled: usize,
        to: &mut [u8],
    ) -> Option<(SocketAddr, usize, Option<Duration>)> {
        assert!(self.ours[usize::from(number)], "only a filled buffer is read");
        // SAFETY: the buffer lies within the pool's bytes, is initialised, and the kernel does not write to it.
        let from = unsafe { std::slice::from_raw_parts(self.start(number), filled.min(BUFFER_BYTES)) };
        let message = RecvMsgOut::parse(from, &self.layout.0).ok()?;
        let sender = address(message.name_data())?;
        let payload = message.payload_data();
        let bytes = payload.len().min(to.len());
        to[..bytes].copy_from_slice(&payload[..bytes]);
        Some((sender, bytes, stamp::read(message.control_data())))
    }

    fn entries(&self) -> *mut BufRingEntry {
        UnsafeCell::raw_get(self.list.as_ptr()).cast()
    }

    fn start(&self, number: u16) -> *mut u8 {
        let offset = usize::from(number) * BUFFER_BYTES;
        self.bytes[offset / PAGE].get().cast::<u8>().wrapping_add(offset % PAGE)
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}

/// An address as the kernel writes it (ip(7), ipv6(7)).
fn address(name: &[u8]) -> Option<SocketAddr> {
    let family = u16::from_ne_bytes(name.first_chunk::<2>().copied()?);
    let port = u16::from_be_bytes(name.get(2..4)?.try_into().ok()?);
    let ip: IpAddr = match i32::from(family) {
        libc::AF_INET => Ipv4Addr::from(<[u8; 4]>::try_from(name.get(4..8)?).ok()?).into(),
        libc::AF_INET6 => Ipv6Addr::from(<[u8; 16]>::try_from(name.get(8..24)?).ok()?).into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Datagrams that may lie here at a time, a power of two; more wait in their sockets.
pub(super) const BUFFERS: usize = 1_024;

/// Header, sender and an Ethernet frame's worth, with room to see that a datagram was longer.
const BUFFER_BYTES: usize = 2_048;
const PAGE: usize = 4_096;

/// An IPv6 socket address.
const NAME_BYTES: usize = 28;

/// The pool's number in the ring.
const GROUP: u16 = 0;

//! Datagrams that wait for the next call to the kernel, with their addresses.
//!
//! UDP sends that must not wait are carried out while they are submitted, so their places are free afterwards; only the
//! ones that failed say so.

use std::net::SocketAddr;

use io_uring::types::Fixed;
use io_uring::{opcode, squeue};
use nix::libc;
use socket2::SockAddr;

#[derive(Debug)]
pub(super) struct Post {
    /// Reserved once and never moved: the kernel is told where letters lie.
    letters: Box<[Letter]>,
    waiting: usize,
}

#[derive(Debug)]
struct Letter {
    to: SockAddr,
    bytes: [u8; LETTER_BYTES_MAX],
}

impl Post {
    pub(super) fn new() -> Self {
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let letters = (0..LETTERS_MAX).map(|_| Letter { to: nowhere.into(), bytes: [0; LETTER_BYTES_MAX] }).collect();
        Self { letters, waiting: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting >= self.letters.len()
    }

    /// How many letters wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Lays a datagram down and makes the operation that sends it, without an address where the socket is tied; `None`
    /// when there is no room or it is too long.
    pub(super) fn letter(&mut self, socket: Fixed, bytes: &[u8], to: Option<SocketAddr>) -> Option<squeue::Entry> {
        let letter = self.letters.get_mut(self.waiting)?;
        letter.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        self.waiting += 1;
        let mut entry = opcode::Send::new(socket, letter.bytes.as_ptr(), bytes.len() as u32).flags(libc::MSG_DONTWAIT);
        if let Some(to) = to {
            letter.to = to.into();
            entry = entry.dest_addr(letter.to.as_ptr().cast()).dest_addr_len(letter.to.len());
        }
        Some(entry.build().flags(squeue::Flags::SKIP_SUCCESS))
    }

    /// Frees all places. To be called when nothing waits in the submission queue.
    pub(super) fn clear(&mut self) {
        self.waiting = 0;
    }
}

/// Datagrams that wait at most.
const LETTERS_MAX: usize = 256;

/// A relayed packet, with room for what encryption adds.
const LETTER_BYTES_MAX: usize = 1_600;

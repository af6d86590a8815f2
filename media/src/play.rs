//! A sound that plays to one leg, frame by frame, alone or over the other side's audio made quieter.
//!
//! Knows samples and frames; packets, codecs and addresses are the engine's.

use std::sync::Arc;
use std::time::Duration;

use crate::sequence::Place;
use crate::{PlayMode, PromptId, Sound};

/// The most samples in one frame: 60 ms at 8 kHz.
pub const FRAME_SAMPLES_MAX: usize = 480;

/// Most frames sent at once after a late tick; what is later still is played later, not faster.
pub const BURST_MAX: u32 = 3;

/// One playing of a sound.
#[derive(Debug)]
pub struct Player {
    prompt: PromptId,
    sound: Arc<Sound>,
    position: usize,
    mix: Mix,
    /// When the next frame is due.
    due: Duration,
    /// The first packet has left.
    started: bool,
    /// A frame could not be sent.
    missed: bool,
    /// The next frame follows a pause of our own.
    resumes: bool,
}

/// What happens to the other side meanwhile.
#[derive(Debug)]
enum Mix {
    Replace,
    Duck { gain_q15: i32, other: Hold },
}

impl Player {
    /// A sound whose first frame is due at `due`; `hold` is used when the other side goes on being heard.
    pub fn new(prompt: PromptId, sound: Arc<Sound>, mode: PlayMode, due: Duration, hold: Option<Hold>) -> Self {
        let mix = match mode {
            PlayMode::Replace => Mix::Replace,
            PlayMode::Duck { attenuation_db } => {
                let mut other = hold.unwrap_or_default();
                other.clear();
                Mix::Duck { gain_q15: gain_q15(attenuation_db), other }
            }
        };
        Self { prompt, sound, position: 0, mix, due, started: false, missed: false, resumes: false }
    }

    /// The name of this playing.
    pub fn prompt(&self) -> PromptId {
        self.prompt
    }

    /// When the next frame, or the end, is due.
    pub fn due(&self) -> Duration {
        self.due
    }

    /// True when every frame was taken.
    pub fn is_over(&self) -> bool {
        self.position >= self.sound.samples.len()
    }

    /// True when the whole sound was sent.
    pub fn is_complete(&self) -> bool {
        self.is_over() && !self.missed
    }

    /// Writes the next frame, padded with silence at the end, and moves the due time on by its length.
    pub fn next_frame(&mut self, frame: &mut [i16]) {
        let left = self.sound.samples.get(self.position..).unwrap_or_default();
        let taken = left.len().min(frame.len());
        frame[..taken].copy_from_slice(&left[..taken]);
        frame[taken..].fill(0);
        self.position += taken;
        self.due += Duration::from_micros(frame.len() as u64 * 125);
        if let Mix::Duck { gain_q15, other } = &mut self.mix {
            other.mix_into(frame, *gain_q15);
        }
    }

    /// Remembers that a frame was sent; true for the first one.
    pub fn sent(&mut self) -> bool {
        self.resumes = false;
        !std::mem::replace(&mut self.started, true)
    }

    /// Remembers that a frame could not be sent.
    pub fn missed(&mut self) {
        self.missed = true;
        self.resumes = true;
    }

    /// True when the next packet follows a pause of our own.
    pub fn resumes(&self) -> bool {
        self.resumes
    }

    /// Gives up on being in time: the next frame is due at `due`.
    pub fn postpone(&mut self, due: Duration) {
        self.due = due;
        self.resumes = true;
    }

    /// The buffer for the other side's audio; `None` while the other side is muted.
    pub fn other(&mut self) -> Option<&mut Hold> {
        match &mut self.mix {
            Mix::Replace => None,
            Mix::Duck { other, .. } => Some(other),
        }
    }

    /// Ends the playing and gives the buffer back.
    pub fn into_hold(self) -> Option<Hold> {
        match self.mix {
            Mix::Replace => None,
            Mix::Duck { other, .. } => Some(other),
        }
    }
}

/// The other side's decoded audio, held just long enough to be in order when it is mixed.
#[derive(Debug)]
pub struct Hold {
    samples: Box<[i16; HOLD_SAMPLES]>,
    /// The next position to be mixed.
    read: u64,
    map: Option<Map>,
}

/// Which position belongs to which timestamp of the present source.
#[derive(Debug)]
struct Map {
    from: u32,
    epoch: u32,
    timestamp: u32,
    position: u64,
    /// Packets in a row that came too late.
    late: u32,
}

impl Default for Hold {
    fn default() -> Self {
        Self { samples: Box::new([0; HOLD_SAMPLES]), read: 0, map: None }
    }
}

impl Hold {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.samples.fill(0);
        self.read = 0;
        self.map = None;
    }

    /// Puts one packet's samples in their place. `from` names the sending leg, `timestamp` is the packet's.
    pub fn put(&mut self, from: u32, place: Place, timestamp: u32, samples: impl ExactSizeIterator<Item = i16>) {
        let position = self.locate(from, place.epoch, timestamp, samples.len());
        for (position, sample) in (position..).zip(samples) {
            if position >= self.read {
                self.samples[position as usize % HOLD_SAMPLES] = sample;
            }
        }
    }

    /// Adds the held audio to `frame`, made quieter, and forgets it.
    pub fn mix_into(&mut self, frame: &mut [i16], gain_q15: i32) {
        for sample in frame {
            let other = std::mem::take(&mut self.samples[self.read as usize % HOLD_SAMPLES]);
            let sum = i32::from(*sample) + ((i32::from(other) * gain_q15) >> 15);
            *sample = sum.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16;
            self.read += 1;
        }
    }

    /// The position of a packet; starts over where the source is new, or too early or late to be mixed.
    fn locate(&mut self, from: u32, epoch: u32, timestamp: u32, length: usize) -> u64 {
        let read = self.read;
        if let Some(map) = &mut self.map
            && (map.from, map.epoch) == (from, epoch)
        {
            let step = timestamp.wrapping_sub(map.timestamp) as i32;
            let position = map.position.saturating_add_signed(i64::from(step));
            let end = position.saturating_add(length as u64);
            map.late = if end <= read { map.late + 1 } else { 0 };
            if end <= read + HOLD_SAMPLES as u64 && map.late < LATE_MAX {
                return position;
            }
        }

        self.samples.fill(0);
        let position = read + DELAY_SAMPLES;
        self.map = Some(Map { from, epoch, timestamp, position, late: 0 });
        position
    }
}

/// 512 ms: beyond any burst worth mixing.
const HOLD_SAMPLES: usize = 4_096;

/// 30 ms: a 20 ms packet may be up to one tick late.
const DELAY_SAMPLES: u64 = 240;

/// So many late packets in a row mean that the sender's clock has moved.
const LATE_MAX: u32 = 5;

fn gain_q15(attenuation_db: u8) -> i32 {
    (10_f32.powf(-f32::from(attenuation_db) / 20.0) * 32_768.0) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_end_in_silence() {
        let mut player = player(PlayMode::Replace, 200);
        let mut frame = [9; 160];
        player.next_frame(&mut frame);
        assert_eq!((frame[0], frame[159], player.is_over()), (1_000, 1_000, false));
        player.next_frame(&mut frame);
        assert_eq!((frame[39], frame[40], player.is_over()), (1_000, 0, true));
        assert_eq!(player.due(), Duration::from_millis(40));
    }

    #[test]
    fn other_side_is_attenuated_and_added() {
        let mut player = player(PlayMode::Duck { attenuation_db: 6 }, 1_600);
        put(&mut player, 0, 0);
        let sums = frames(&mut player, 3);
        // Held for 30 ms, then half as loud for 20 ms.
        assert_eq!((sums[239], sums[240], sums[399], sums[400]), (1_000, 2_002, 2_002, 1_000));
    }

    #[test]
    fn reordered_packets_are_put_in_order() {
        let mut player = player(PlayMode::Duck { attenuation_db: 6 }, 1_600);
        put(&mut player, 0, 0);
        put(&mut player, 2, 320);
        put(&mut player, 1, 160);
        let sums = frames(&mut player, 5);
        assert!(sums[240..720].iter().all(|&s| s == 2_002), "three packets without a hole");
    }

    #[test]
    fn a_clock_jump_starts_over() {
        let mut player = player(PlayMode::Duck { attenuation_db: 6 }, 1_600);
        put(&mut player, 0, 0);
        put(&mut player, 1, 4_000_000);
        let sums = frames(&mut player, 3);
        assert_eq!((sums[239], sums[240]), (1_000, 2_002));
    }

    #[test]
    fn loud_sums_saturate() {
        let mut hold = Hold::default();
        let place = Place { epoch: 1, position: 0 };
        hold.put(1, place, 0, [i16::MAX; 160].into_iter());
        let mut frame = [i16::MAX; 480];
        hold.mix_into(&mut frame, 32_768);
        assert!(frame.iter().all(|&s| s == i16::MAX));
    }

    fn player(mode: PlayMode, samples: usize) -> Player {
        let sound = Arc::new(Sound { samples: vec![1_000; samples] });
        Player::new(PromptId(1), sound, mode, Duration::ZERO, None)
    }

    fn put(player: &mut Player, position: u64, timestamp: u32) {
        let other = player.other().expect("it ducks");
        other.put(1, Place { epoch: 1, position }, timestamp, [2_000; 160].into_iter());
    }

    fn frames(player: &mut Player, count: usize) -> Vec<i16> {
        let mut all = Vec::new();
        for _ in 0..count {
            let mut frame = [0; 160];
            player.next_frame(&mut frame);
            all.extend(frame);
        }
        all
    }
}

//! The thread for real: packets put into the ring come out as frames for everybody who reads.

use media::{Codec, Command, CopiedPacket, Ssrc, Stamp, StreamSettings, TapFrame, Way, g711};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::timeout;

use super::*;

const LEG: LegId = LegId(7);
/// Longer than anything takes on a busy machine.
const LONG: Duration = Duration::from_secs(20);

#[tokio::test]
async fn frames_reach_every_reader_until_the_copy_ends() {
    let stage = Stage::new();
    stage.copy(true);
    let (mut one, mut other) = (stage.copies.subscribe(LEG), stage.copies.subscribe(LEG));
    let speaking = stage.speak(12_000);
    for reader in [&mut one, &mut other] {
        let frame = loud(reader).await;
        assert!(frame.left.iter().any(|sample| *sample > 10_000), "the caller is left");
        assert!(frame.right.iter().all(|sample| *sample == 0), "nobody speaks to the caller");
    }
    speaking.store(false, Ordering::Release);
    stage.copy(false);
    for mut reader in [one, other] {
        let end = timeout(LONG, async {
            loop {
                if let Err(RecvError::Closed) = reader.recv().await {
                    return;
                }
            }
        });
        end.await.expect("the frames end");
    }
}

#[tokio::test]
async fn who_asks_for_what_is_not_copied_gets_nothing() {
    let stage = Stage::new();
    let mut reader = stage.copies.subscribe(LEG);
    let end = timeout(LONG, reader.recv()).await.expect("it ends at once");
    assert!(matches!(end, Err(RecvError::Closed)));
}

#[test]
fn who_asks_between_two_looks_is_not_sent_away() {
    let (ring, parties, clock) = (Arc::new(CopyRing::new(8)), Arc::new(Parties::default()), Clock::start());
    let shared = Arc::new(Shared::default());
    let copies = Copies { shared: Arc::clone(&shared), ring: Arc::clone(&ring) };
    let options = CopyOptions { ring, parties: Arc::clone(&parties), clock, on_restart: Box::new(|| ()) };
    let mut worker = Worker { options: &options, shared: &shared, copies: BTreeMap::new(), parties_version: None };
    let now = clock.now();
    worker.follow_parties(now);
    parties.observe(&Command::Copy { leg: LEG, on: true });
    let mut readers = [copies.subscribe(LEG), copies.subscribe_to_keep(LEG)];
    worker.give_out(now);
    readers.iter_mut().for_each(|reader| assert_eq!(reader.try_recv(), Err(TryRecvError::Empty)));
    worker.follow_parties(now);
    worker.give_out(now + Duration::from_millis(500));
    readers.iter_mut().for_each(|reader| assert!(reader.try_recv().is_ok()));
}

#[tokio::test]
async fn a_slow_reader_loses_the_oldest_and_is_told() {
    let stage = Stage::new();
    stage.copy(true);
    let (mut slow, mut quick) = (stage.copies.subscribe(LEG), stage.copies.subscribe(LEG));
    let mut keeper = stage.copies.subscribe_to_keep(LEG);
    let mut last = 0;
    while last < (FRAMES_BEHIND_MAX as u64 + 10) * 160 {
        last = timeout(LONG, quick.recv()).await.expect("in time").expect("a frame").position;
    }
    assert!(matches!(slow.try_recv(), Err(TryRecvError::Lagged(_))));
    assert!(slow.try_recv().is_ok_and(|frame| frame.position > 0));
    assert!(keeper.try_recv().is_ok(), "whoever keeps audio may be further behind");
}

#[tokio::test]
async fn stopping_ends_every_copy() {
    let stage = Stage::new();
    stage.copy(true);
    let mut reader = stage.copies.subscribe(LEG);
    timeout(LONG, reader.recv()).await.expect("in time").expect("a frame");
    stage.copies.stop();
    let ended = timeout(LONG, async { while reader.recv().await != Err(RecvError::Closed) {} });
    ended.await.expect("it ends");
}

#[test]
fn what_breaks_begins_anew() {
    let (shared, restarts, mut rounds) = (Shared::default(), std::cell::Cell::new(0), 0);
    let count = || restarts.set(restarts.get() + 1);
    again_until_stopped(&shared.stopping, &count, || {
        rounds += 1;
        assert!(rounds > 1, "broken on purpose");
        shared.stopping.store(true, Ordering::Release);
    });
    assert_eq!((rounds, restarts.get()), (2, 1));
}

struct Stage {
    copies: Copies,
    ring: Arc<CopyRing>,
    parties: Arc<Parties>,
    clock: Clock,
}

impl Stage {
    fn new() -> Self {
        let (ring, parties, clock) = (Arc::new(CopyRing::new(256)), Arc::new(Parties::default()), Clock::start());
        let options =
            CopyOptions { ring: Arc::clone(&ring), parties: Arc::clone(&parties), clock, on_restart: Box::new(|| ()) };
        let settings = StreamSettings::plain(None, Codec::Pcmu, 0);
        parties.observe(&Command::Configure { leg: LEG, settings });
        Self { copies: Copies::start(options).expect("a thread"), ring, parties, clock }
    }

    fn copy(&self, on: bool) {
        self.parties.observe(&Command::Copy { leg: LEG, on });
    }

    /// The caller says a loud constant until the flag falls.
    fn speak(&self, level: i16) -> Arc<AtomicBool> {
        let speaking = Arc::new(AtomicBool::new(true));
        let (flag, ring, clock) = (Arc::clone(&speaking), Arc::clone(&self.ring), self.clock);
        thread::spawn(move || {
            let mut payload = Vec::new();
            g711::encode(g711::Law::Mu, &[level; 160], &mut payload);
            for sequence in 0_u16.. {
                if !flag.load(Ordering::Acquire) {
                    return;
                }
                let timestamp = u32::from(sequence) * 160;
                let stamp = Stamp { marker: false, payload_type: 0, sequence, timestamp, ssrc: Ssrc(1) };
                let bytes = [&stamp.to_bytes()[..], &payload].concat();
                let frame = TapFrame::new(LEG, clock.now(), Some(Codec::Pcmu), &bytes).expect("it fits");
                ring.push(CopiedPacket { way: Way::Said, frame });
                thread::sleep(Duration::from_millis(20));
            }
        });
        speaking
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.copies.stop();
    }
}

/// The first frame in which somebody speaks.
async fn loud(reader: &mut broadcast::Receiver<Arc<CopyFrame>>) -> Arc<CopyFrame> {
    let search = async {
        loop {
            let frame = reader.recv().await.expect("a frame");
            if frame.left.iter().any(|sample| *sample > 10_000) {
                return frame;
            }
        }
    };
    timeout(LONG, search).await.expect("somebody speaks")
}

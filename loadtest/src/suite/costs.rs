//! What a call costs by what it is made of: two runs each, so that what a server costs by itself is told from its calls;
//! and at last all kinds at the same time.

use std::io;
use std::time::Duration;

use media::Codec;

use super::Played;
use super::section::{Table, Verdict};
use super::site::{Site, Wanted};
use super::stage::{NotShown, Scene, Shown};
use crate::driver::invalid;
use crate::load::{RelayPlan, RelayReport, Secured, Speaking};

/// One kind of call.
struct Kind {
    name: &'static str,
    target: &'static str,
    speaking: Speaking,
    wanted: Wanted,
    /// Calls of the two runs.
    calls: [usize; 2],
    /// What another system takes for the same, docs/PERFORMANCE.md.
    figure: &'static str,
}

/// Two runs of a kind.
struct Cost {
    name: &'static str,
    figure: &'static str,
    runs: [RelayReport; 2],
}

/// The stage.
pub(super) fn costs(scene: &Scene<'_>) -> Played {
    let what = "Runs with two numbers of calls for every kind, all up at a time: the slope between them is what a call \
                costs, the rest is the server's own. CPU is the server's, user and kernel, by /proc, while all calls are up."
        .to_owned();
    ("Costs by codec, SRTP, listening, words", what, played(scene))
}

fn played(scene: &Scene<'_>) -> Result<Shown, NotShown> {
    let (mut costs, mut server_cpu) = (Vec::new(), Duration::ZERO);
    for kind in kinds(scene)? {
        let run = |calls| {
            let site = scene.site(&kind.wanted)?;
            let report = crate::load::relay(&relay_plan(scene, &site, &kind, calls))?;
            Ok::<_, io::Error>((report, site.cpu()))
        };
        let (few, cpu_few) = run(kind.calls[0])?;
        let (many, cpu_many) = run(kind.calls[1])?;
        server_cpu += cpu_few + cpu_many;
        costs.push(Cost { name: kind.name, figure: kind.figure, runs: [few, many] });
    }
    let mut verdicts: Vec<Verdict> = costs.iter().map(Cost::verdict).collect();
    let (mixed, cpu) = all_kinds_at_once(scene)?;
    verdicts.push(mixed);
    Ok(Shown { verdicts, tables: vec![table(&costs)], plots: Vec::new(), server_cpu: server_cpu + cpu })
}

fn relay_plan(scene: &Scene<'_>, site: &Site, kind: &Kind, calls: usize) -> RelayPlan {
    RelayPlan {
        server: site.server(kind.target),
        pid: Some(site.pid()),
        calls,
        rate: 23.0,
        seconds: scene.quick_or(6, 20),
        speaking: kind.speaking.clone(),
    }
}

fn kinds(scene: &Scene<'_>) -> io::Result<Vec<Kind>> {
    let plain = Speaking::plain(Codec::Pcma);
    let spoken = scene.speech()?;
    let wanted = Wanted { calls: 1_000, ..Wanted::default() };
    let listens = Wanted { listens: true, ..wanted.clone() };
    let kind = |name, target, speaking: &Speaking, wanted: &Wanted, calls, figure| Kind {
        name,
        target,
        speaking: speaking.clone(),
        wanted: wanted.clone(),
        calls,
        figure,
    };
    let srtp = Speaking { secured: Secured::Callee, ..plain.clone() };
    let opus = Speaking { caller: Codec::Pcmu, callee: Codec::Opus, ..plain.clone() };
    let g722 = Speaking { caller: Codec::Pcmu, callee: Codec::G722, ..plain.clone() };
    let mut kinds = vec![
        kind("relay", "plain", &plain, &wanted, [50, 200], "rtpengine 10.5: 0.96 at 100 calls, 0.78 at 400"),
        kind("SRTP on one side", "srtp", &srtp, &wanted, [50, 200], "rtpengine 10.5: 1.08 and 1.00"),
        kind("PCMU to Opus", "opus", &opus, &wanted, [10, 40], "rtpengine 10.5: 12.5 at 50 calls"),
        kind("PCMU to G.722", "g722", &g722, &wanted, [10, 40], ""),
        kind("listened to", "plain", &spoken, &listens, [20, 80], ""),
    ];
    if let Some(words) = &scene.plan.words {
        let heard = Wanted { words: Some(words.clone()), ..listens };
        kinds.push(kind("listened to, with words", "plain", &spoken, &heard, [10, 40], ""));
    }
    let kept = Wanted { keeps: true, keeps_audio: true, ..listens };
    kinds.push(kind("listened to, audio kept", "plain", &spoken, &kept, [20, 80], ""));
    Ok(kinds)
}

impl Cost {
    /// What one call more takes, ms of a processor per second.
    fn per_call(&self) -> f64 {
        let [few, many] = self.runs.each_ref().map(cores_ms);
        let calls = self.runs[1].answered as f64 - self.runs[0].answered as f64;
        ((many - few) / calls.max(1.0)).max(0.0)
    }

    /// What the server takes by itself, ms of a processor per second; never below zero.
    fn fixed(&self) -> f64 {
        (cores_ms(&self.runs[0]) - self.per_call() * self.runs[0].answered as f64).max(0.0)
    }

    fn verdict(&self) -> Verdict {
        let lost: u64 = self.runs.iter().map(|run| run.packets_lost).sum();
        let up = self.runs.iter().all(|run| run.answered == run.calls);
        let added = self.runs.iter().map(|run| run.added.p99_ms).fold(0.0, f64::max);
        let found = format!("{lost} packets lost, added p99 {added:.3} ms");
        Verdict::new(format!("{}: all calls come up and lose nothing", self.name), found, up && lost == 0)
    }
}

/// The server's whole time per second, ms.
fn cores_ms(run: &RelayReport) -> f64 {
    run.server.map_or(0.0, |server| server.cpu_ms_per_call_second) * run.answered as f64
}

fn table(costs: &[Cost]) -> Table {
    let columns = [
        "kind",
        "calls",
        "CPU ms per call-second",
        "of one call more",
        "of the server by itself, ms per second",
        "memory per call, KiB",
        "other systems (docs/PERFORMANCE.md)",
    ];
    let mut table = Table::new("CPU and memory", &columns);
    for cost in costs {
        let both = |of: &dyn Fn(&RelayReport) -> String| {
            let [few, many] = cost.runs.each_ref().map(of);
            format!("{few} / {many}")
        };
        let cpu = |run: &RelayReport| format!("{:.3}", run.server.map_or(0.0, |server| server.cpu_ms_per_call_second));
        let memory = |run: &RelayReport| format!("{:.0}", run.server.map_or(0.0, |server| server.rss_kb_per_call));
        table.row([
            cost.name.to_owned(),
            both(&|run| run.answered.to_string()),
            both(&cpu),
            format!("{:.3} ms", cost.per_call()),
            format!("{:.1}", cost.fixed()),
            both(&memory),
            cost.figure.to_owned(),
        ]);
    }
    table
}

/// Plain calls, SRTP and both transcoded kinds through one server at the same time.
fn all_kinds_at_once(scene: &Scene<'_>) -> io::Result<(Verdict, Duration)> {
    let wanted = Wanted { calls: 1_000, listens: true, ..Wanted::default() };
    let kinds = kinds(scene)?;
    let site = scene.site(&wanted)?;
    let mixed = kinds.iter().take(MIXED_KINDS);
    let plans: Vec<RelayPlan> = mixed.map(|kind| relay_plan(scene, &site, kind, kind.calls[0].min(25))).collect();
    let reports = std::thread::scope(|scope| {
        let runs: Vec<_> = plans.iter().map(|plan| scope.spawn(move || crate::load::relay(plan))).collect();
        runs.into_iter().map(std::thread::ScopedJoinHandle::join).collect::<Vec<_>>()
    });
    let broke = |_| invalid("the telephones broke".to_owned());
    let reports = reports.into_iter().map(|run| run.map_err(broke)?).collect::<io::Result<Vec<RelayReport>>>()?;
    let lost: u64 = reports.iter().map(|run| run.packets_lost).sum();
    let up = reports.iter().all(|run| run.answered == run.calls);
    let came: usize = reports.iter().map(|run| run.answered).sum();
    let codecs = reports.iter().map(|run| run.codec.as_str()).collect::<Vec<_>>().join("; ");
    let found = format!("{came} calls ({codecs}), {lost} packets lost");
    let claim = "all kinds at the same time, everybody listened to: all come up and lose nothing";
    Ok((Verdict::new(claim, found, up && lost == 0), site.cpu()))
}

/// The kinds of calls that one server takes at a time: those without speech.
const MIXED_KINDS: usize = 4;

//! Scenarios of callers who wait for a human: music and ringback around prompts.

use super::keys::{HELPED, OVER};
use super::script::check;

/// The caller asks for a human and hears an apology, then music.
const MUSIC: &str = "
    > caller presses A
    key caller A event
    decided music service@1
    play caller Replace
    open human
    invite human [0 8 101 sendrecv] X-Calmline-Emotion: neutral;level=low;score=0.00;rule=music
    reroute bridge human started
    > prompt starts
    prompt sorry.wav started after 0
    > prompt ends
    prompt sorry.wav ended true
    play caller Replace again and again
";

/// The caller hears the ringback tone, which gives way to an apology.
const RINGBACK: &str = "
    > caller presses B
    key caller B event
    decided ringback service@1
    open human
    invite human [0 8 101 sendrecv] X-Calmline-Emotion: neutral;level=low;score=0.00;rule=ringback
    reroute bridge human started
    play caller Replace again and again
    play caller Replace
    > prompt starts
    prompt sorry.wav started after 0
    > prompt ends
    prompt sorry.wav ended true
    play caller Replace again and again
";

#[test]
fn music_fills_the_wait_until_the_human_answers() {
    check(&format!(
        "{HELPED}{MUSIC}
        > wait 3
        > caller speaks 480
        > human answers 0
        configure human Pcmu/0 SendRecv
        stop caller
        bridge caller human
        bye bot
        close bot
        > caller hears human
        rerouted bridge human after 3000 gap Some(0)
        > caller byes
        close caller
        bye human
        close human
        ended: BYE received; talk 3000 peak low lost 9"
    ));
}

#[test]
fn music_goes_on_when_the_bot_has_gone() {
    check(&format!(
        "{HELPED}{MUSIC}
        > bot byes
        close bot
        > caller byes
        close caller
        cancel human
        close human
        ended: BYE received; talk 0 peak low lost 9"
    ));
}

#[test]
fn music_gives_way_to_prompts() {
    check(&format!(
        "{HELPED}{RINGBACK}
        > caller presses 2
        key caller 2 event
        > human fails 486 Busy Here
        close human
        reroute bridge human failed: 486 Busy Here
        stop caller
        decided stay service@1 because 486 Busy Here
        play caller Duck {{ attenuation_db: 12 }}
        > prompt starts
        prompt wait.wav started after 0
        > prompt ends
        prompt wait.wav ended true
        {OVER}
        ended: BYE received; talk 0 peak low lost 9"
    ));
}

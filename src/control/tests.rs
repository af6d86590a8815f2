//! Call control in simulated time: scripts of what happens, beside what call control does about it.
//!
//! `sim` plays the SIP side and the media path and holds the rules that both expect to be kept; `script` reads the
//! scenarios; the scenarios themselves are `setup`, `offers`, `audio`, `bypass`, `relief`, `drain`, `handshakes`, `liveness`,
//! `reroute`, `keys`, `kept`, `hold`, `reoffer`, `moves`, `forks`, `chats`, `consent`, `conversations`, `orders`, `supervise`, `reload`, `site`; `random` plays at random,
//! and `reached` lists what that reaches.

mod audio;
mod browsers;
mod bypass;
mod chats;
mod consent;
mod conversations;
mod drain;
mod forks;
mod handshakes;
mod hold;
mod kept;
mod keys;
mod liveness;
mod moves;
mod offers;
mod orders;
mod random;
mod reached;
mod relief;
mod reload;
mod reoffer;
mod reroute;
mod script;
mod setup;
mod sim;
mod site;
mod supervise;

//! The program on real sockets against far ends that are written octet by octet: SIP, RTP, RTCP and STUN as the
//! standards have them, and none of the project's own code that the program uses for them.

mod bypass;
mod checks;
mod faults;
mod overload;
mod phone;
mod reload;
mod reoffer;
mod reports;
mod restart;
mod stun;

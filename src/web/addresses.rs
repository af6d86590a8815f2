//! Every address of the API, with what it is about, who answers, and how it is described. There is no other list.

use axum::http::{Method, StatusCode};

use super::bus::EventBody;
use super::calls::{CallList, CallsQuery, Detail};
use super::openapi::{Description, describe, openapi};
use super::orders::Accepted;
use super::permit::{Area, Doors};
use super::query::PageQuery;
use super::reload::Reloaded;
use super::{
    alerts, audio, audit, backup, calls, capture, channel, consent, console, deliveries, events, exports, facts, forks,
    health, interactions, keys, knowledge, libraries, log, models, moves, node, oidc, orders, outcomes, own, password,
    people, playback, policies, readiness, recordings, reload, reports, signing, sources, trial, users, wall, webrtc,
};
use crate::report::Report;
use crate::store::{Backup, Checking, Hold, Rotated};
use Area::{
    Audio, Audit, Calls, Capture, Integration, Knowledge, Operate, Orders, Own, People, Playback, Reports, Users,
};

const OK: StatusCode = StatusCode::OK;
const CREATED: StatusCode = StatusCode::CREATED;
const ACCEPTED: StatusCode = StatusCode::ACCEPTED;
const BAD_REQUEST: StatusCode = StatusCode::BAD_REQUEST;
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;
const NOT_ACCEPTABLE: StatusCode = StatusCode::NOT_ACCEPTABLE;
const CONFLICT: StatusCode = StatusCode::CONFLICT;
const UNPROCESSABLE: StatusCode = StatusCode::UNPROCESSABLE_ENTITY;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const TOO_MANY: StatusCode = StatusCode::TOO_MANY_REQUESTS;
const UNAVAILABLE: StatusCode = StatusCode::SERVICE_UNAVAILABLE;
const TOO_SLOW: StatusCode = StatusCode::REQUEST_TIMEOUT;
const BROKEN: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;
const SWITCHING: StatusCode = StatusCode::SWITCHING_PROTOCOLS;
const SEE_OTHER: StatusCode = StatusCode::SEE_OTHER;
const BAD_GATEWAY: StatusCode = StatusCode::BAD_GATEWAY;
const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;
const GONE: StatusCode = StatusCode::GONE;
const PARTIAL: StatusCode = StatusCode::PARTIAL_CONTENT;
const NO_SUCH_PART: StatusCode = StatusCode::RANGE_NOT_SATISFIABLE;
const NOT_MODIFIED: StatusCode = StatusCode::NOT_MODIFIED;

/// The addresses that are for everybody.
pub(super) fn open() -> Doors {
    let page = |what| describe(what).answers_as(OK, "text/html", "The page").refuses(&[NOT_FOUND]);
    let file = describe("A file of the console").answers_as(OK, "application/octet-stream", "The file");
    let ready = describe("What works, for load balancers")
        .answers::<readiness::Report>(OK, "Calls are taken")
        .answers::<readiness::Report>(UNAVAILABLE, "Calls are not taken");
    let sign_in = describe("Signs a person in")
        .body::<signing::Credentials>()
        .answers::<signing::SessionBody>(OK, "Whose session it is")
        .answer_header("set-cookie", "The cookie by which the browser is known")
        .refuses(&[UNAUTHORIZED, FORBIDDEN, TOO_MANY, UNAVAILABLE]);
    Doors::default()
        .open(Method::GET, "/", console::page, page("The console"))
        .open(Method::GET, "/agent", console::agent, page("The agents' page of the console, alone"))
        .open(Method::GET, "/assets/{name}", console::asset, file.refuses(&[BAD_REQUEST, NOT_FOUND]))
        .open(
            Method::GET,
            "/healthz",
            health::healthz,
            describe("Whether the program runs").answers_as(OK, "text/plain", "It does"),
        )
        .open(Method::GET, "/readyz", health::readyz, ready)
        .open(
            Method::GET,
            "/v1/session",
            signing::session,
            describe("Who is signed in")
                .answers::<signing::SessionBody>(OK, "Whose session it is")
                .refuses(&[UNAUTHORIZED]),
        )
        .open(Method::POST, "/v1/session", signing::sign_in, sign_in)
        .open(Method::DELETE, "/v1/session", signing::sign_out, sign_out())
        .open(Method::POST, "/v1/me/password", password::change, own_password())
        .open(
            Method::GET,
            "/v1/session/ways",
            oidc::ways,
            describe("How people may sign in").answers::<oidc::Ways>(OK, "Where, besides with a password here"),
        )
        .open(
            Method::GET,
            "/v1/session/oidc",
            oidc::begin,
            describe("Leads a browser to the OpenID provider, to sign in there")
                .answers_empty(SEE_OTHER, "It is led there")
                .answer_header("location", "The provider's page")
                .refuses(&[NOT_FOUND, TOO_MANY, UNAVAILABLE, BAD_GATEWAY]),
        )
        .open(
            Method::GET,
            "/v1/session/oidc/done",
            oidc::done,
            describe("Where a browser comes back from the OpenID provider")
                .query::<oidc::Returned>()
                .answers_empty(SEE_OTHER, "Somebody is signed in, and led to the console")
                .answer_header("set-cookie", "The cookie by which the browser is known")
                .refuses(&[BAD_REQUEST, FORBIDDEN, NOT_FOUND, TOO_MANY, UNAVAILABLE, BAD_GATEWAY]),
        )
        .open(
            Method::GET,
            "/v1/openapi.json",
            openapi,
            describe("This document")
                .header("if-none-match", "The `ETag` of the document that is known")
                .answers_as(OK, "application/json", "The document")
                .answers_empty(NOT_MODIFIED, "It is the one that is known")
                .answer_header("etag", "What the document is known by"),
        )
}

fn sign_out() -> Description {
    describe("Signs a person out")
        .answers::<signing::SignedOut>(OK, "Nobody is here; the browser can go on to sign out of the provider, too")
        .answers_empty(NO_CONTENT, "Nobody is")
        .refuses(&[FORBIDDEN])
}

fn own_password() -> Description {
    describe("Gives whoever is signed in another password")
        .body::<password::OtherPassword>()
        .answers::<signing::SessionBody>(OK, "Whose session it is; all others of theirs have ended")
        .answer_header("set-cookie", "The cookie by which the browser is known from now on")
        .refuses(&[BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, NOT_FOUND, CONFLICT, TOO_MANY, UNAVAILABLE])
}

/// The addresses that ask for somebody who is known.
pub(super) fn closed() -> Doors {
    running(keeping(trail(signing_in(libraries(people(interactions(supervision(seen(Doors::default())))))))))
}

/// Calls as they are told.
fn seen(doors: Doors) -> Doors {
    let list = |what| describe(what).query::<CallsQuery>().answers::<CallList>(OK, "Newest first");
    let alerts = describe("Alerts of calls that are up or ended lately, and those that nobody has reacted to")
        .query::<alerts::AlertsQuery>()
        .answers::<alerts::AlertList>(OK, "Newest first");
    let whole = |what| describe(what).answers::<Detail>(OK, "With its timeline and events").refuses(&[NOT_FOUND]);
    let played = describe("What was kept of a call's audio, and may be heard, as a WAV")
        .header("range", "The octets that are wanted, in one range (RFC 9110)")
        .answers_as(
            OK,
            "audio/wav",
            "All of it, two channels of 16 bits at 8 kHz: what the caller says, what the caller hears",
        )
        .answers_as(PARTIAL, "audio/wav", "What was asked for of it")
        .refuses(&[NOT_FOUND, CONFLICT, GONE, NO_SUCH_PART, UNAVAILABLE]);
    let kept = describe("Whether audio of a call is kept, how much, and what of it is muted")
        .answers::<playback::Playback>(OK, "It is")
        .refuses(&[NOT_FOUND, CONFLICT, GONE, UNAVAILABLE]);
    let assignees = describe("Whom an alert of a call can be given")
        .query::<PageQuery>()
        .answers::<alerts::Assignees>(OK, "By their names")
        .refuses(&[NOT_FOUND]);
    doors
        .at(Method::GET, "/v1/calls/{id}/playback", Playback, playback::show, kept)
        .at(Method::GET, "/v1/calls/{id}/playback.wav", Playback, playback::play, played)
        .at(Method::GET, "/v1/calls", Calls, calls::calls, list("Calls and chats"))
        .at(Method::GET, "/v1/calls/{id}", Calls, calls::call, whole("One call"))
        .at(Method::GET, "/v1/alerts", Calls, alerts::list, alerts)
        .at(Method::GET, "/v1/calls/{id}/assignees", Orders, alerts::assignees, assignees)
        .at(Method::GET, "/v1/interactions", Calls, calls::calls, list("Chats and calls"))
        .at(Method::GET, "/v1/interactions/{id}", Calls, calls::call, whole("One chat"))
        .at(
            Method::GET,
            "/v1/calls/{id}/audio",
            Audio,
            audio::audio,
            describe("A live copy of a call's audio, as a WAV without an end")
                .query::<audio::AudioQuery>()
                .answers_as(OK, "audio/wav", "Until the call ends, 16 bits at 8 kHz")
                .refuses(&[NOT_FOUND, CONFLICT]),
        )
        .at(
            Method::GET,
            "/v1/events",
            Calls,
            events::events,
            describe("What happens, as it happens, as Server-Sent Events or over a WebSocket")
                .query::<events::EventsQuery>()
                .header("last-event-id", "The number after which events are wanted, as `after`")
                .answers_stream::<EventBody<'_>>(OK, "text/event-stream", "An event each")
                .answers_empty(SWITCHING, "The same objects over a WebSocket")
                .refuses(&[NOT_ACCEPTABLE]),
        )
        .at(
            Method::GET,
            "/v1/wall",
            Calls,
            wall::wall,
            describe("What happens in all calls, over a WebSocket: the events of a fifth of a second at a time")
                .answers_stream::<wall::WallBody<'_>>(SWITCHING, "application/json", "Messages over a WebSocket")
                .refuses(&[BAD_REQUEST]),
        )
}

/// What is done in calls.
fn supervision(doors: Doors) -> Doors {
    let order = |what| {
        describe(what).answers::<Accepted>(ACCEPTED, "It is carried out; events tell the rest").refuses(&[
            NOT_FOUND,
            FORBIDDEN,
            CONFLICT,
            BAD_REQUEST,
        ])
    };
    let priority = "Changes the caller's place in queues, wherever the caller is moved from then on";
    let priority = order(priority).body::<moves::PriorityRequest>();
    let handled = order("Tells what is done about an alert").body::<alerts::DeedRequest>();
    let supervise = order("Calls a supervisor's phone").body::<orders::SupervisorRequest>();
    let change = order("Lets others hear a supervisor").number("supervisor").body::<orders::PartRequest>();
    let end = order("Ends a supervisor's part").number("supervisor");
    let browser = describe("Connects a supervisor's browser by WebRTC, in the manner of WHIP (RFC 9725)")
        .query::<webrtc::ConnectQuery>()
        .body_as("application/sdp")
        .answers_as(CREATED, "application/sdp", "The whole answer")
        .answer_header("location", "The supervisor's address")
        .refuses(&[NOT_FOUND, FORBIDDEN, CONFLICT, StatusCode::NOT_IMPLEMENTED]);
    doors
        .at(Method::POST, "/v1/calls/{id}/bypass", Orders, orders::bypass, order("Lets audio go past us"))
        .at(Method::DELETE, "/v1/calls/{id}/bypass", Orders, orders::end_bypass, order("Takes audio back to us"))
        .at(Method::POST, "/v1/calls/{id}/hangup", Orders, orders::hang_up, order("Ends a call"))
        .at(Method::POST, "/v1/calls/{id}/alerts", Orders, alerts::handle, handled)
        .at(
            Method::POST,
            "/v1/calls/{id}/move",
            Orders,
            moves::move_caller,
            order("Moves the caller to a target").body::<moves::MoveRequest>(),
        )
        .at(Method::PUT, "/v1/calls/{id}/priority", Orders, moves::prioritise, priority)
        .at(
            Method::POST,
            "/v1/calls/{id}/prompts",
            Orders,
            orders::play,
            order("Plays or says something to a party").body::<orders::PromptRequest>(),
        )
        .at(
            Method::DELETE,
            "/v1/calls/{id}/prompts/{prompt}",
            Orders,
            orders::stop,
            order("Ends what is played").number("prompt"),
        )
        .at(Method::POST, "/v1/calls/{id}/supervisors", Orders, orders::supervise, supervise)
        .at(Method::PATCH, "/v1/calls/{id}/supervisors/{supervisor}", Orders, orders::change_supervisor, change)
        .at(Method::DELETE, "/v1/calls/{id}/supervisors/{supervisor}", Orders, orders::end_supervisor, end)
        .at(Method::POST, "/v1/calls/{id}/webrtc", Orders, webrtc::connect, browser)
        .at(
            Method::GET,
            "/v1/targets",
            Orders,
            moves::targets,
            describe("Where callers can be moved").answers::<moves::Targets>(OK, "By their names"),
        )
        .at(
            Method::GET,
            "/v1/webrtc",
            Orders,
            webrtc::servers,
            describe("How browsers are connected").answers::<webrtc::Ways>(OK, "Whether, and by which servers"),
        )
}

/// What other systems tell of calls, and begin.
fn interactions(doors: Doors) -> Doors {
    let told = |what| {
        describe(what).answers::<Accepted>(ACCEPTED, "It is taken").refuses(&[
            NOT_FOUND,
            FORBIDDEN,
            CONFLICT,
            BAD_REQUEST,
        ])
    };
    let facts = || told("Tells what is known of the customer and the order").body::<facts::FactsRequest>();
    let agreed = || told("Tells whether words may be kept").body::<consent::ConsentRequest>();
    let shown = || told("Tells an expression of a party").body::<interactions::ExpressionRequest>();
    let outcome = || told("Tells what has come of it").body::<outcomes::OutcomeRequest>();
    let utterance = told("Tells what a party has typed").body::<orders::TypedRequest>();
    let begin = told("Begins a chat")
        .body::<interactions::OpenRequest>()
        .answers::<Accepted>(CREATED, "It has begun")
        .answers::<Accepted>(OK, "It was begun before");
    let write = told("Writes a message").body::<interactions::MessageRequest>();
    let moved = told("Tells whether a customer was moved").body::<interactions::MovedRequest>();
    let end = told("Ends a chat").body_or_none::<interactions::EndRequest>();
    let recording = describe("Uploads a recording of a call, a WAV, to be listened to afterwards")
        .query::<recordings::RecordingQuery>()
        .header("x-calmline-customer", "An address of the customer, or what stands for it: `person:…`")
        .body_as("audio/wav")
        .answers::<recordings::RecordingBody>(ACCEPTED, "It waits for its turn")
        .refuses(&[CONFLICT, UNPROCESSABLE, UNAVAILABLE, TOO_SLOW, StatusCode::INSUFFICIENT_STORAGE]);
    let recorded = describe("What has become of a recording")
        .answers::<recordings::RecordingBody>(OK, "Its record is that of the call")
        .refuses(&[NOT_FOUND]);
    let fork = describe("Asks where the audio of a PBX's call may be sent")
        .body::<forks::Wanted>()
        .answers::<forks::Given>(CREATED, "Where")
        .refuses(&[CONFLICT]);
    let both = describe("One chat over one WebSocket, both ways")
        .answers_empty(SWITCHING, "The chat's events, and answers to what is sent")
        .refuses(&[BAD_REQUEST, NOT_FOUND, CONFLICT]);
    doors
        .at(Method::POST, "/v1/calls/{id}/utterances", Integration, orders::typed, utterance)
        .at(Method::PUT, "/v1/calls/{id}/facts", Integration, facts::tell, facts())
        .at(Method::PUT, "/v1/calls/{id}/consent", Integration, consent::tell, agreed())
        .at(Method::POST, "/v1/calls/{id}/expressions", Integration, interactions::show, shown())
        .at(Method::POST, "/v1/calls/{id}/outcomes", Integration, outcomes::tell, outcome())
        .at(Method::POST, "/v1/interactions", Integration, interactions::open, begin)
        .at(Method::POST, "/v1/interactions/{id}/outcomes", Integration, outcomes::tell, outcome())
        .at(Method::GET, "/v1/interactions/{id}/channel", Integration, channel::channel, both)
        .at(Method::PUT, "/v1/interactions/{id}/consent", Integration, consent::tell, agreed())
        .at(Method::POST, "/v1/interactions/{id}/end", Integration, interactions::end, end)
        .at(Method::POST, "/v1/interactions/{id}/expressions", Integration, interactions::show, shown())
        .at(Method::PUT, "/v1/interactions/{id}/facts", Integration, facts::tell, facts())
        .at(Method::POST, "/v1/interactions/{id}/messages", Integration, interactions::write, write)
        .at(Method::POST, "/v1/interactions/{id}/moved", Integration, interactions::moved, moved)
        .at(Method::POST, "/v1/recordings", Integration, recordings::upload, recording)
        .at(Method::GET, "/v1/recordings/{id}", Integration, recordings::state, recorded)
        .at(Method::POST, "/v1/forks", Integration, forks::fork, fork)
}

/// What a person may ask for who called.
fn people(doors: Doors) -> Doors {
    let asked = |what| describe(what).refuses(&[BAD_REQUEST, NOT_FOUND]);
    let calls = asked("Shows somebody's calls").body::<people::CallsRequest>();
    let erase = asked("Erases somebody's calls").body::<people::ReasonRequest>().refuses(&[CONFLICT]);
    let tenant = describe("Erases all of a tenant by its key").body::<people::TenantRequest>();
    let tenant = tenant.refuses(&[BAD_REQUEST, NOT_FOUND, CONFLICT]).answers::<people::GoneTenant>(OK, "What is gone");
    let key = asked("What stands for somebody in place of an address").body::<people::PersonRequest>();
    let hold = asked("Keeps somebody's calls from being removed").body::<people::ReasonRequest>().refuses(&[CONFLICT]);
    let release = asked("Lets somebody's calls be removed").body::<people::PersonRequest>();
    doors
        .at(Method::POST, "/v1/people/calls", People, people::calls, calls.answers::<people::Calls>(OK, "Newest first"))
        .at(Method::POST, "/v1/people/erase", People, people::erase, erase.answers::<people::Gone>(OK, "What is gone"))
        .at(Method::POST, "/v1/people/key", People, people::key, key.answers::<people::Key>(OK, "The key"))
        .at(Method::POST, "/v1/people/hold", People, people::hold, hold.answers::<Hold>(OK, "The hold"))
        .at(
            Method::GET,
            "/v1/people/holds",
            People,
            people::holds,
            asked("Whose calls are kept from being removed")
                .query::<PageQuery>()
                .answers::<people::Holds>(OK, "By their hashes"),
        )
        .at(Method::POST, "/v1/tenants/erase", People, people::erase_tenant, tenant)
        .at(Method::POST, "/v1/people/release", People, people::release, release.answers::<Hold>(OK, "What it was"))
}

/// What calls go by: policies and the other libraries, and what customers are answered.
fn libraries(doors: Doors) -> Doors {
    let named = |what| describe(what).refuses(&[NOT_FOUND]);
    let changed = |what| {
        named(what)
            .header("if-match", "The `ETag` of the file that it takes the place of")
            .header("if-none-match", "`*`, when it is a new one")
            .answers::<libraries::LibraryDone>(OK, "It is in force, or good where it was only looked at")
            .answers::<libraries::LibraryDone>(CREATED, "It is in force, and was not there before")
            .answer_header("etag", "What the file is known by")
            .refuses(&[
                BAD_REQUEST,
                CONFLICT,
                UNPROCESSABLE,
                BROKEN,
                StatusCode::PRECONDITION_FAILED,
                StatusCode::PRECONDITION_REQUIRED,
            ])
    };
    let read = named("A file of a library")
        .answers_as(OK, "application/toml", "Its text")
        .answer_header("etag", "What the file is known by")
        .refuses(&[BROKEN]);
    let replace = changed("Puts a text in a file's place and reads the configuration again")
        .query::<libraries::ReplaceQuery>()
        .body_as("application/toml");
    let tried = named("Tries a draft of a policy on the calls of a day")
        .body::<trial::TrialRequest>()
        .answers::<trial::Trial>(OK, "What it would have done, beside what is in force")
        .refuses(&[BROKEN]);
    let back = describe("Has new calls begin with the policies before")
        .answers::<Accepted>(ACCEPTED, "They do; once more takes it back")
        .refuses(&[CONFLICT]);
    let search = describe("The library of answers, searched or listed")
        .query::<knowledge::KnowledgeQuery>()
        .answers::<knowledge::Answer>(OK, "The best first, or all there are");
    let list = describe("The files of all libraries")
        .answers::<libraries::LibraryList>(OK, "By kind and name")
        .refuses(&[BROKEN]);
    let policies_list =
        describe("The policies").answers::<policies::PolicyList>(OK, "By the names of their files").refuses(&[BROKEN]);
    let entry = named("One entry of the library of answers").answers::<knowledge::EntryBody>(OK, "The entry");
    let in_force = named("What is in force of a policy's file").answers::<policies::PolicyInForce>(OK, "That");
    doors
        .at(Method::GET, "/v1/knowledge", Knowledge, knowledge::search, search)
        .at(Method::GET, "/v1/knowledge/{id}", Knowledge, knowledge::entry, entry)
        .at(Method::GET, "/v1/libraries", Operate, libraries::list, list)
        .at(Method::GET, "/v1/libraries/{kind}/{name}", Operate, libraries::read, read)
        .at(Method::PUT, "/v1/libraries/{kind}/{name}", Operate, libraries::replace, replace)
        .at(
            Method::POST,
            "/v1/libraries/{kind}/{name}/back",
            Operate,
            libraries::back,
            changed("Puts the version before in a file's place and reads the configuration again"),
        )
        .at(Method::GET, "/v1/policies", Operate, policies::list, policies_list)
        .at(Method::GET, "/v1/policies/{name}", Operate, policies::show, in_force)
        .at(Method::POST, "/v1/policies/{name}/try", Operate, trial::run, tried)
        .at(Method::POST, "/v1/policies/back", Operate, policies::back, back)
}

/// Who may sign in.
fn signing_in(doors: Doors) -> Doors {
    let list = describe("Who may sign in").query::<PageQuery>().answers::<users::Users>(OK, "By their names");
    let of_one = |what| describe(what).refuses(&[NOT_FOUND, CONFLICT]);
    let told =
        |what| of_one(what).answers::<users::User>(OK, "They are").answer_header("etag", "What they are known by");
    let kept = |description: Description| {
        let refused = [BAD_REQUEST, StatusCode::PRECONDITION_FAILED, StatusCode::PRECONDITION_REQUIRED];
        description.header("if-match", "The `ETag` that was read").refuses(&refused)
    };
    let create = of_one("Lets somebody sign in from now on")
        .body::<users::NewUser>()
        .answers::<users::User>(CREATED, "They may, by what is shown once")
        .answer_header("etag", "What they are known by")
        .refuses(&[BAD_REQUEST]);
    let change = kept(told("Changes what somebody may do")).body::<users::UserChange>();
    let remove = kept(of_one("Lets somebody sign in no more")).answers_empty(NO_CONTENT, "They do not");
    doors
        .at(Method::GET, "/v1/users", Users, users::list, list)
        .at(Method::POST, "/v1/users", Users, users::create, create)
        .at(Method::GET, "/v1/users/{name}", Users, users::show, told("Shows who may sign in"))
        .at(Method::PATCH, "/v1/users/{name}", Users, users::change, change)
        .at(Method::DELETE, "/v1/users/{name}", Users, users::remove, remove)
        .at(Method::POST, "/v1/users/{name}/password", Users, users::renew_password, told("Makes a new password"))
        .at(Method::POST, "/v1/users/{name}/totp", Users, users::renew_totp, told("Makes a new second factor"))
        .at(Method::DELETE, "/v1/users/{name}/totp", Users, users::remove_totp, told("Asks for no second factor"))
}

/// Who did what, and what agents see.
fn trail(doors: Doors) -> Doors {
    let list = describe("Who did what, when and why")
        .query::<audit::AuditQuery>()
        .answers::<audit::Entries>(OK, "The latest first")
        .refuses(&[NOT_FOUND]);
    let looked = |what| describe(what).refuses(&[NOT_FOUND]);
    let own =
        describe("The calls that an agent serves now").answers::<own::OwnCalls>(OK, "Their own").refuses(&[FORBIDDEN]);
    let followed = describe("The same, whenever it changes, as Server-Sent Events")
        .answers_stream::<own::OwnCalls>(OK, "text/event-stream", "All of them, as `own_calls`")
        .refuses(&[FORBIDDEN, NOT_ACCEPTABLE]);
    let state = looked("What the last look at the trail found").answers::<Checking>(OK, "That");
    let begin = looked("Has the trail looked at").answers::<Checking>(ACCEPTED, "It goes on").refuses(&[CONFLICT]);
    doors
        .at(
            Method::POST,
            "/v1/calls/{id}/capture",
            Capture,
            capture::capture,
            describe("A call's packets, SIP and RTP of both legs, from now on; SIP from the call's beginning where that is kept")
                .body::<capture::CaptureRequest>()
                .answers_as(OK, crate::capture::CONTENT_TYPE, "Until the call ends, or as much as was asked for, as pcapng")
                .refuses(&[BAD_REQUEST, NOT_FOUND, CONFLICT, UNPROCESSABLE, UNAVAILABLE]),
        )
        .at(Method::GET, "/v1/audit", Audit, audit::list, list)
        .at(Method::GET, "/v1/audit/verify", Audit, audit::state, state)
        .at(Method::POST, "/v1/audit/verify", Audit, audit::begin, begin)
        .at(Method::GET, "/v1/own/calls", Own, own::calls, own)
        .at(Method::GET, "/v1/own/events", Own, own::follow, followed)
}

/// What the server keeps, and what systems outside are still to be told.
fn keeping(doors: Doors) -> Doors {
    let list = describe("What systems outside are still to be told of, and what they would not take")
        .query::<deliveries::ListQuery>()
        .answers::<deliveries::Deliveries>(OK, "The oldest first")
        .refuses(&[NOT_FOUND]);
    let delivery = |what| describe(what).number("id").answers::<Accepted>(ACCEPTED, "It is").refuses(&[NOT_FOUND]);
    let kept = |what| describe(what).refuses(&[NOT_FOUND]);
    doors
        .at(Method::GET, "/v1/deliveries", Operate, deliveries::list, list)
        .at(Method::DELETE, "/v1/deliveries/{id}", Operate, deliveries::remove, delivery("Forgets a delivery"))
        .at(Method::POST, "/v1/deliveries/{id}/retry", Operate, deliveries::retry, delivery("Tries a delivery again"))
        .at(
            Method::GET,
            "/v1/backup",
            Operate,
            backup::state,
            kept("What became of the last back-up").answers::<Backup>(OK, "That"),
        )
        .at(
            Method::POST,
            "/v1/backup",
            Operate,
            backup::begin,
            kept("Has a back-up made").answers::<Backup>(ACCEPTED, "It is being made").refuses(&[CONFLICT]),
        )
        .at(
            Method::POST,
            "/v1/keys/rotate",
            Operate,
            keys::rotate,
            kept("Seals by another data key, and wraps all keys by the master key that is configured now")
                .answers::<Rotated>(OK, "It is done")
                .refuses(&[CONFLICT]),
        )
}

/// How the server is run, and what calls add up to.
fn running(doors: Doors) -> Doors {
    let figures = describe("The figures, in Prometheus' text format").answers_as(OK, "text/plain", "All of them");
    let sums = describe("What the calls of a day, week or month add up to")
        .query::<reports::Wanted>()
        .answers::<Report>(OK, "In the form that was asked for")
        .refuses(&[BAD_REQUEST, NOT_FOUND]);
    let rows = describe("Ended calls, or what was observed in them, decisions or outcomes, as rows for a warehouse")
        .query::<exports::ExportQuery>()
        .answers_as(OK, "application/vnd.apache.parquet", "The table, in the form that was asked for")
        .refuses(&[BAD_REQUEST, NOT_FOUND, CONFLICT, UNPROCESSABLE]);
    let read =
        describe("Reads the configuration again").answers::<Reloaded>(OK, "What was taken").refuses(&[UNPROCESSABLE]);
    let order = |what| describe(what).answers::<Accepted>(ACCEPTED, "It is carried out").refuses(&[CONFLICT]);
    doors
        .at(Method::GET, "/metrics", Operate, health::metrics, figures)
        .at(
            Method::GET,
            "/v1/models",
            Operate,
            models::models,
            describe("Which models judge").answers::<models::Models>(OK, "Those, and what is compared with them"),
        )
        .at(
            Method::GET,
            "/v1/node",
            Operate,
            node::node,
            describe("How much the server has to do, and what its machine has left").answers::<node::Node>(OK, "Now"),
        )
        .at(Method::GET, "/v1/reports/{date}", Reports, reports::of_date, sums)
        .at(Method::GET, "/v1/exports/{table}", People, exports::of_table, rows)
        .at(Method::POST, "/v1/drain", Operate, orders::drain, order("Takes no new calls"))
        .at(Method::POST, "/v1/reload", Operate, reload::reload, read)
        .at(
            Method::GET,
            "/v1/log",
            Operate,
            log::now,
            describe("How much is logged").answers::<log::LogNow>(OK, "The filters"),
        )
        .at(
            Method::PUT,
            "/v1/log",
            Operate,
            log::set,
            describe("Changes how much is logged, for a while or until it is changed again")
                .body::<log::LogRequest>()
                .answers::<log::LogNow>(OK, "It is changed")
                .refuses(&[UNAVAILABLE]),
        )
        .at(
            Method::GET,
            "/v1/sources",
            Operate,
            sources::list,
            describe("How it stands with the business data that is pulled").answers::<sources::Sources>(OK, "By name"),
        )
}

//! The listener on sockets of its own, with packets as phone systems send them.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::*;
use crate::config::Network;
use crate::hear::CallHeard;
use crate::sip::identity::Rules;

fn config(listen: SocketAddr) -> Hep {
    Hep {
        listen,
        from: vec!["127.0.30.0/24".parse::<Network>().expect("a network")],
        key: None,
        pbx: Vec::new(),
        call_id_header: "X-Original-Call-ID".to_owned(),
        join_within: Duration::from_secs(5),
        give_up_after: Duration::from_secs(3600),
        most_legs: 100,
    }
}

fn invite(call: &str, caller: &str) -> Vec<u8> {
    let text = format!(
        "INVITE sip:101@192.0.2.101 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{call}\r\nFrom: <sip:{caller}@x>;tag=f\r\n\
         To: <sip:101@192.0.2.101>\r\nCall-ID: {call}\r\nCSeq: 1 INVITE\r\n\r\n"
    );
    let packet = Packet { payload: text.as_bytes(), ..Packet::default() };
    packet::write(&packet).expect("it fits")
}

/// The next word about a call.
async fn next_call(heard: &mut mpsc::Receiver<Heard>) -> CallHeard {
    loop {
        let heard = tokio::time::timeout(Duration::from_secs(20), heard.recv()).await;
        if let What::Call { is, .. } = heard.expect("in time").expect("a word").what {
            return is;
        }
    }
}

#[tokio::test]
async fn packets_are_heard_over_udp_and_tcp_and_only_from_whom_they_may_come() {
    let free = std::net::UdpSocket::bind("127.0.30.71:0").expect("a port").local_addr().expect("an address");
    let pbx = Pbx { lines: vec!["101".parse().expect("a line")], rules: Arc::new(Rules::default()) };
    let (words_in, mut words) = mpsc::channel(64);
    let (stop, counts) = (CancellationToken::new(), Arc::new(Counts::default()));
    let running = tokio::spawn(run_counting(config(free), pbx, words_in, stop.clone(), counts.clone()));
    assert_eq!(words.recv().await.expect("a word").what, What::Up { live: None });

    // Both sockets are bound before the first word. What a stranger sends comes first and must not be heard.
    let stranger = UdpSocket::bind("127.0.31.71:0").await.expect("a socket");
    stranger.send_to(&invite("stranger", "+972541111111"), free).await.expect("sent");
    let known = UdpSocket::bind("127.0.30.72:0").await.expect("a socket");
    known.send_to(b"\x01\x10 not HEP 3", free).await.expect("sent");
    let options = Packet { payload: b"OPTIONS sip:x@x SIP/2.0\r\n\r\n", ..Packet::default() };
    known.send_to(&packet::write(&options).expect("it fits"), free).await.expect("sent");
    known.send_to(&invite("udp", "+972541234567"), free).await.expect("sent");
    let CallHeard::Facts(facts) = next_call(&mut words).await else { panic!("no facts") };
    assert_eq!(
        facts.caller.number.and_then(|n| n.key().map(str::to_owned)).as_deref(),
        Some("+972541234567")
    );
    let seen = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!(seen(&counts.strangers), 1);
    assert_eq!(
        (seen(&counts.malformed), seen(&counts.not_of_a_call), seen(&counts.read), seen(&counts.packets)),
        (1, 1, 1, 3)
    );

    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.30.73:0".parse().expect("an address")).expect("bound");
    let mut tcp: TcpStream = socket.connect(free).await.expect("connected");
    let (one, two) = (packet::write(&options).expect("it fits"), invite("tcp", "+972542222222"));
    let all = [one, two].concat();
    let (first, second) = all.split_at(50);
    tcp.write_all(first).await.expect("written");
    tcp.flush().await.expect("flushed");
    tcp.write_all(second).await.expect("written");
    assert!(matches!(next_call(&mut words).await, CallHeard::Facts(_)));
    assert_eq!(seen(&counts.read), 2);

    stop.cancel();
    running.await.expect("no panic").expect("no error");
    let mut last = None;
    while let Some(word) = words.recv().await {
        last = Some(word.what);
    }
    assert_eq!(last, Some(What::Down));
}

#[test]
fn the_key_is_needed_where_one_is_configured() {
    let gate = Gate::new(&Hep {
        key: Some(pinkas_protocol::Private("s3cret".to_owned())),
        ..config("127.0.0.1:1".parse().expect("an address"))
    });
    let counts = Counts::default();
    let admits = |key: Option<&'static [u8]>| {
        let packet = Packet { key, payload: b"BYE sip:x SIP/2.0\r\n\r\n", ..Packet::default() };
        gate.admits(&packet::write(&packet).expect("it fits"), &counts).is_some()
    };
    assert!(admits(Some(b"s3cret")));
    assert!(admits(Some(b"s3cret\0")));
    for wrong in [None, Some(b"".as_slice()), Some(b"s3cre"), Some(b"s3crets"), Some(b"S3cret")] {
        assert!(!admits(wrong), "{wrong:?}");
    }
    assert_eq!(counts.wrong_key.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn a_stream_that_is_no_hep_is_closed() {
    let gate = Gate::new(&config("127.0.0.1:1".parse().expect("an address")));
    let (messages, mut read) = mpsc::channel(4);
    let counts = Counts::default();
    let proven = std::sync::atomic::AtomicBool::default();
    let good = invite("x", "1");
    let ended = stream::read(
        [good.clone(), b"GET / HTTP/1.1\r\n\r\n".to_vec()].concat().as_slice(),
        &gate,
        &counts,
        &messages,
        &proven,
    )
    .await;
    assert_eq!(ended, stream::Ended::NoHep);
    assert!(proven.load(Ordering::Relaxed));
    assert!(read.try_recv().is_ok());
    let cut = good.get(..20).expect("longer");
    assert_eq!(stream::read(cut, &gate, &counts, &messages, &proven).await, stream::Ended::Well);
}

#[tokio::test]
async fn connections_that_say_nothing_keep_nobody_out() {
    let free = std::net::UdpSocket::bind("127.0.30.74:0").expect("a port").local_addr().expect("an address");
    let pbx = Pbx { lines: vec!["101".parse().expect("a line")], rules: Arc::new(Rules::default()) };
    let (words_in, mut words) = mpsc::channel(64);
    let stop = CancellationToken::new();
    let running = tokio::spawn(run(config(free), pbx, words_in, stop.clone()));
    assert_eq!(words.recv().await.expect("a word").what, What::Up { live: None });
    let dial = || async {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.bind("127.0.30.75:0".parse().expect("an address")).expect("bound");
        socket.connect(free).await.expect("connected")
    };
    let mut first = dial().await;
    first.write_all(&invite("first", "+972541234567")).await.expect("written");
    assert!(matches!(next_call(&mut words).await, CallHeard::Facts(_)));
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(dial().await);
    }
    let mut last = dial().await;
    last.write_all(&invite("last", "+972542222222")).await.expect("written");
    assert!(matches!(next_call(&mut words).await, CallHeard::Facts(_)));
    // The one that had proven itself has not given way.
    first.write_all(&invite("again", "+972543333333")).await.expect("written");
    assert!(matches!(next_call(&mut words).await, CallHeard::Facts(_)));
    stop.cancel();
    running.await.expect("no panic").expect("no error");
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_does_not_come_whole_ends_its_connection() {
    let gate = Gate::new(&config("127.0.0.1:1".parse().expect("an address")));
    let (messages, _read) = mpsc::channel(4);
    let (counts, proven) = (Counts::default(), std::sync::atomic::AtomicBool::default());
    let (mut sender, stream) = tokio::io::duplex(1024);
    let good = invite("x", "1");
    sender.write_all(good.get(..40).expect("longer")).await.expect("written");
    let since = Instant::now();
    assert_eq!(stream::read(stream, &gate, &counts, &messages, &proven).await, stream::Ended::Silent);
    assert_eq!((since.elapsed().as_secs(), proven.load(Ordering::Relaxed)), (10, false));
}

#[test]
fn what_the_kernel_dropped_is_read_out_of_its_table() {
    let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
        100: 0100007F:2364 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 x 7\n\
        101: 00000000:2364 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 x 9\n";
    let of = |listen: &str| dropped(table, listen.parse().expect("an address"));
    if cfg!(target_endian = "little") {
        assert_eq!(of("127.0.0.1:9060"), Some(7));
    }
    assert_eq!(of("0.0.0.0:9060"), Some(9));
    assert_eq!(of("127.0.0.1:9061"), None);
    assert_eq!(dropped("", "127.0.0.1:1".parse().expect("an address")), None);
}

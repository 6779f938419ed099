use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

fn pair() -> (Stream, Stream) {
    let (a, b) = UnixStream::pair().unwrap();
    (Stream::unix(a).unwrap(), Stream::unix(b).unwrap())
}

#[tokio::test]
async fn both_ends_with_one_secret_agree() {
    let (a, b) = pair();
    let secret = Secret::random().unwrap();
    let (initiated, accepted) = tokio::join!(initiate(&a, &secret, PROOF_TIMEOUT), accept(&b, &secret, PROOF_TIMEOUT));
    initiated.unwrap();
    accepted.unwrap();
}

#[tokio::test]
async fn a_wrong_secret_is_refused_at_both_ends() {
    let (a, b) = pair();
    let (wrong, right) = (Secret::random().unwrap(), Secret::random().unwrap());
    let (initiated, accepted) = tokio::join!(initiate(&a, &wrong, PROOF_TIMEOUT), accept(&b, &right, PROOF_TIMEOUT));
    assert_eq!(initiated.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(accepted.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn an_acceptor_without_the_secret_is_noticed() {
    // It cannot check our proof and so pretends to accept it.
    let (a, mut fake) = UnixStream::pair().unwrap();
    let answering = async {
        let mut theirs = [0; HELLO];
        fake.read_exact(&mut theirs).await.unwrap();
        fake.write_all(&theirs).await.unwrap();
        let mut proof = [0; PROOF];
        fake.read_exact(&mut proof).await.unwrap();
        // Reflecting the initiator's own proof must not do.
        fake.write_all(&[ACCEPTED]).await.unwrap();
        fake.write_all(&proof).await.unwrap();
    };
    let a = Stream::unix(a).unwrap();
    let secret = Secret::random().unwrap();
    let (initiated, ()) = tokio::join!(initiate(&a, &secret, PROOF_TIMEOUT), answering);
    assert_eq!(initiated.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn garbage_is_refused_without_an_answer() {
    let (mut a, b) = UnixStream::pair().unwrap();
    let b = Stream::unix(b).unwrap();
    a.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: everything\r\n\r\n").await.unwrap();
    let error = accept(&b, &Secret::random().unwrap(), PROOF_TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    drop(b);
    let mut answer = Vec::new();
    // The socket may report a reset, as what was sent was not read to the end.
    let _ = a.read_to_end(&mut answer).await;
    assert!(answer.is_empty());
}

#[tokio::test]
async fn a_silent_peer_is_given_up() {
    let (_silent, b) = pair();
    let error = accept(&b, &Secret::random().unwrap(), Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn another_version_is_named() {
    let (mut a, b) = UnixStream::pair().unwrap();
    let b = Stream::unix(b).unwrap();
    let mut other = hello(&[7; NONCE]);
    other[8..10].copy_from_slice(&999_u16.to_le_bytes());
    a.write_all(&other).await.unwrap();
    let error = accept(&b, &Secret::random().unwrap(), PROOF_TIMEOUT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Version);
    assert!(error.message().contains("999"), "{error}");
}

#[test]
fn secrets_survive_files_and_stay_out_of_logs() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    let secret = Secret::random().unwrap();
    secret.save(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(Secret::load(&path).unwrap() == secret);
    assert!(!format!("{secret:?}").contains(&secret.to_hex()));
    assert!(secret.save(&path).is_err(), "an existing file is not overwritten");
    assert!(Secret::from_hex("nonsense").is_err());
}

// Verifies a delivery (Standard Webhooks, v1). The body comes on stdin, byte for byte:
//   rustc verify.rs
//   WEBHOOK_SECRET=whsec_... ./verify WEBHOOK-ID WEBHOOK-TIMESTAMP WEBHOOK-SIGNATURE <body
// The standard library has no HMAC, so this calls OpenSSL's libcrypto. With crates, `hmac`, `sha2`
// and `base64` do the same: Hmac::<Sha256>::new_from_slice, then STANDARD.encode, then verify.
use std::ffi::{c_int, c_uchar, c_void};
use std::io::Read;
use std::ptr::null_mut;
use std::time::{SystemTime, UNIX_EPOCH};

#[link(name = "crypto")]
extern "C" {
    fn EVP_sha256() -> *const c_void;
    fn HMAC(
        digest: *const c_void,
        key: *const c_void,
        key_length: c_int,
        data: *const c_uchar,
        length: usize,
        mac: *mut c_uchar,
        mac_length: *mut u32,
    ) -> *mut c_uchar;
    fn EVP_EncodeBlock(text: *mut c_uchar, bytes: *const c_uchar, length: c_int) -> c_int;
    fn EVP_DecodeBlock(bytes: *mut c_uchar, text: *const c_uchar, length: c_int) -> c_int;
    fn CRYPTO_memcmp(a: *const c_void, b: *const c_void, length: usize) -> c_int;
}

const TOLERANCE: u64 = 5 * 60;

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0; text.len()];
    let length = unsafe {
        EVP_DecodeBlock(
            bytes.as_mut_ptr(),
            text.as_ptr(),
            c_int::try_from(text.len()).ok()?,
        )
    };
    let padding = text.bytes().rev().take_while(|&byte| byte == b'=').count();
    bytes.truncate(usize::try_from(length).ok()?.checked_sub(padding)?);
    Some(bytes)
}

fn signature(key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut mac = [0u8; 32];
    let mut text = [0u8; 45]; // 44 characters, and the NUL that C adds
    unsafe {
        HMAC(
            EVP_sha256(),
            key.as_ptr().cast(),
            key.len() as c_int,
            content.as_ptr(),
            content.len(),
            mac.as_mut_ptr(),
            null_mut(),
        );
        EVP_EncodeBlock(text.as_mut_ptr(), mac.as_ptr(), 32);
    }
    [b"v1,", &text[..44]].concat()
}

fn same(a: &[u8], b: &[u8]) -> bool {
    let equal =
        |length| unsafe { CRYPTO_memcmp(a.as_ptr().cast(), b.as_ptr().cast(), length) == 0 };
    a.len() == b.len() && equal(a.len())
}

/// Fails unless one of the signatures is by this secret and not old.
fn verify(
    secret: &str,
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
) -> Result<(), String> {
    let sent: u64 = timestamp
        .parse()
        .map_err(|_| "the timestamp is no number")?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| age.as_secs());
    if now.abs_diff(sent) > TOLERANCE {
        return Err("the timestamp is more than 5 minutes off".into());
    }
    let key = decode(secret.strip_prefix("whsec_").unwrap_or(secret)).unwrap_or_default();
    if key.len() < 24 {
        return Err("there is no secret".into());
    }
    let content = [format!("{id}.{timestamp}.").as_bytes(), body].concat();
    let expected = signature(&key, &content);
    if signatures
        .split(' ')
        .any(|given| same(given.as_bytes(), &expected))
    {
        return Ok(());
    }
    Err("no signature is by this secret".into())
}

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (id, timestamp, signatures) = match arguments.as_slice() {
        [id, timestamp, signatures] => (id, timestamp, signatures),
        _ => return Err("usage: WEBHOOK_SECRET=whsec_... verify ID TIMESTAMP SIGNATURES".into()),
    };
    let secret = std::env::var("WEBHOOK_SECRET").map_err(|error| error.to_string())?;
    let mut body = Vec::new();
    std::io::stdin()
        .read_to_end(&mut body)
        .map_err(|error| error.to_string())?;
    verify(&secret, id, timestamp, signatures, &body).map_err(|why| format!("refused: {why}"))?;
    println!("verified");
    Ok(())
}

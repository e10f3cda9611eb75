package dev.sealwax.kms.envelope;

/** Whether a stream carries its header or the caller keeps it elsewhere. */
enum HeaderPlace {
  IN_STREAM,
  DETACHED
}

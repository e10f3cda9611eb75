package dev.sealwax.kms.tink;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.amazonaws.ClientConfiguration;
import com.amazonaws.SdkClientException;
import com.amazonaws.auth.AWSStaticCredentialsProvider;
import com.amazonaws.auth.BasicAWSCredentials;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.kms.AWSKMS;
import com.amazonaws.services.kms.AWSKMSClientBuilder;
import com.amazonaws.services.kms.model.CreateKeyRequest;
import com.google.crypto.tink.Aead;
import com.google.crypto.tink.aead.AeadParameters;
import com.google.crypto.tink.aead.KmsEnvelopeAead;
import com.google.crypto.tink.aead.PredefinedAeadParameters;
import com.google.crypto.tink.integration.awskms.AwsKmsAead;
import dev.sealwax.kms.aws.Moto;
import dev.sealwax.kms.vocabulary.KmsException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Away from a key in AWS KMS, through Tink's own integration of it, on the emulator moto. */
final class TinkAwsTest {
  private static final AeadParameters AES256_GCM = PredefinedAeadParameters.AES256_GCM;
  private static final byte[] PLAINTEXT = "4 lamps, blue".getBytes(StandardCharsets.UTF_8);
  private static final byte[] ROW = "order 42".getBytes(StandardCharsets.UTF_8);

  private final TinkRig rig = new TinkRig();
  private final AWSKMS client = client(Moto.shared().endpoint().toString());
  private final Aead oldKek = new AwsKmsAead(client, createKey());

  /** One that tries once. */
  private static AWSKMS client(String endpoint) {
    return AWSKMSClientBuilder.standard()
        .withEndpointConfiguration(new EndpointConfiguration(endpoint, "eu-west-1"))
        .withCredentials(new AWSStaticCredentialsProvider(new BasicAWSCredentials("test", "test")))
        .withClientConfiguration(new ClientConfiguration().withMaxErrorRetry(0))
        .build();
  }

  private String createKey() {
    return client.createKey(new CreateKeyRequest()).getKeyMetadata().getArn();
  }

  @AfterEach
  void close() {
    client.shutdown();
    rig.close();
  }

  @Test
  void ciphertextUnderAKeyOfAws_opensAndMoves() throws Exception {
    byte[] old = KmsEnvelopeAead.create(AES256_GCM, oldKek).encrypt(PLAINTEXT, ROW);
    TinkEnvelopes moved = TinkEnvelopes.of(AES256_GCM, rig.cipher);
    TinkEnvelopes moving = moved.withOldKek(oldKek);

    assertTrue(TinkEnvelopes.inspect(old).isEmpty());
    assertArrayEquals(PLAINTEXT, moving.decrypt(old, ROW));
    byte[] rehomed = moving.rehome(old);

    assertArrayEquals(PLAINTEXT, moved.decrypt(rehomed, ROW));
    assertArrayEquals(
        PLAINTEXT,
        KmsEnvelopeAead.create(AES256_GCM, SealwaxAead.of(rig.cipher)).decrypt(rehomed, ROW));
  }

  /** Tink says no more than that; its cause does. It is passed on, and nothing is moved. */
  @Test
  void refusalOfAws_isPassedOn() throws Exception {
    byte[] old = KmsEnvelopeAead.create(AES256_GCM, oldKek).encrypt(PLAINTEXT, ROW);
    TinkEnvelopes moving =
        TinkEnvelopes.of(AES256_GCM, rig.cipher).withOldKek(new AwsKmsAead(client, createKey()));

    for (TinkRig.Call call :
        List.<TinkRig.Call>of(() -> moving.decrypt(old, ROW), () -> moving.rehome(old))) {
      GeneralSecurityException failure = assertThrows(GeneralSecurityException.class, call::run);

      assertFalse(failure.getCause() instanceof KmsException, failure::toString);
    }
  }

  @Test
  void awsThatIsAway_isPassedOn() throws Exception {
    byte[] old = KmsEnvelopeAead.create(AES256_GCM, oldKek).encrypt(PLAINTEXT, ROW);
    AWSKMS nowhere = client("http://127.0.0.1:1");
    try {
      TinkEnvelopes moving =
          TinkEnvelopes.of(AES256_GCM, rig.cipher)
              .withOldKek(new AwsKmsAead(nowhere, "arn:aws:kms:eu-west-1:123456789012:key/none"));

      for (TinkRig.Call call :
          List.<TinkRig.Call>of(() -> moving.decrypt(old, ROW), () -> moving.rehome(old))) {
        Throwable failure = TinkRig.thrownBy(call::run);

        assertInstanceOf(SdkClientException.class, failure);
      }
    } finally {
      nowhere.shutdown();
    }
  }
}

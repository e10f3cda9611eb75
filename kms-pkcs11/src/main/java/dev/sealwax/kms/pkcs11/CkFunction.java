package dev.sealwax.kms.pkcs11;

/**
 * The functions of Cryptoki that are called, with their places in {@code CK_FUNCTION_LIST}
 * (pkcs11f.h). The places are the same in all versions from 2.01 to 3.x.
 */
enum CkFunction {
  C_Initialize(0),
  C_Finalize(1),
  C_GetSlotList(4),
  C_GetTokenInfo(6),
  C_OpenSession(12),
  C_CloseSession(13),
  C_Login(18),
  C_CreateObject(20),
  C_DestroyObject(22),
  C_GetAttributeValue(24),
  C_FindObjectsInit(26),
  C_FindObjects(27),
  C_FindObjectsFinal(28),
  C_EncryptInit(29),
  C_Encrypt(30),
  C_DecryptInit(33),
  C_Decrypt(34),
  C_SignInit(42),
  C_Sign(43),
  C_GenerateKey(58),
  C_GenerateKeyPair(59),
  C_WrapKey(60),
  C_UnwrapKey(61);

  private final int index;

  CkFunction(int index) {
    this.index = index;
  }

  /** The number of function pointers before this one in the list. */
  int index() {
    return index;
  }
}

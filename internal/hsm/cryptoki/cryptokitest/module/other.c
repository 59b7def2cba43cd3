// A DLL that is no PKCS#11 module, and that needs.c needs. scripts/check-windows builds it.
__declspec(dllexport) unsigned long other(void) { return 0x30; }

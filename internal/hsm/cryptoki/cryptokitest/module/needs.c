// A PKCS#11 module for Windows that needs another DLL (other.c) to be loaded, and then answers CKR_DEVICE_ERROR.
// scripts/check-windows builds it.
__declspec(dllimport) unsigned long other(void);

__declspec(dllexport) unsigned long C_GetFunctionList(void **list) {
	*list = 0;
	return other();
}

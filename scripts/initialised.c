// A PKCS#11 module that is the one at TARGET, but for C_Initialize, which gives that one the text of the environment
// variable HSMTEST_LIBRARY_PARAMETERS: for programs that give none, such as pkcs11-tool. scripts/with-token builds it.
#include <dlfcn.h>
#include <stdlib.h>

typedef unsigned long word;
typedef struct { void *mutexes[4]; word flags; char *parameters, *reserved; } initialize_args_t;
// CK_FUNCTION_LIST: its version, C_Initialize, and the 67 functions that follow it in PKCS#11 v2.40.
typedef struct { unsigned char version[2]; word (*initialize)(void *); void *others[67]; } list_t;

static list_t *behind, shown;

static word initialize(void *given) {
	(void)given;
	initialize_args_t args = {.flags = 2, .parameters = getenv("HSMTEST_LIBRARY_PARAMETERS")}; // CKF_OS_LOCKING_OK
	return behind->initialize(&args);
}

word C_GetFunctionList(list_t **list) {
	void *module = dlopen(TARGET, RTLD_NOW);
	word (*get)(list_t **) = module == NULL ? NULL : (word (*)(list_t **))dlsym(module, "C_GetFunctionList");
	if (get == NULL)
		return 5; // CKR_GENERAL_ERROR
	word code = get(&behind);
	if (code == 0) {
		shown = *behind;
		shown.initialize = initialize;
		*list = &shown;
	}
	return code;
}
